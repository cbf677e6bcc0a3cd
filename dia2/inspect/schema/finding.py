"""What is wrong with a run, or worth a look: where, why, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dia2.common.brief import brief_repr

Severity = Literal["bad", "note"]


@dataclass(frozen=True)
class Finding:
    """One of them. Calls are those of the trace, counted from 0, warm-up included."""

    __repr__ = brief_repr

    kind: str  # name of its `FindingKind`
    call: int  # where it begins
    until: int  # the last call that it is about, included
    speaker: int | None  # 1 or 2; `None`: it is about no one's words
    severity: Severity  # bad: it can be heard; note: it may be meant
    text: str  # what is wrong, and where, in a sentence
    fix: str  # what to do
    words: tuple[int, ...] = ()  # of one about words of a prefix: their indices there

    def to_json(self) -> dict[str, Any]:
        """All but the words' indices, for `dia2 trace findings --json`."""
        return {name: value for name, value in vars(self).items() if name != "words"}


@dataclass(frozen=True)
class FindingKind:
    """A kind of finding, as who looks for it declares it; docs/findings.md lists them."""

    name: str
    severity: Severity
    meaning: str  # when it is found, in a sentence with its thresholds
    reason: str  # why these thresholds
    fix: str  # what to do, as an imperative that a sentence can end with

    def found(
        self,
        text: str,
        call: int,
        until: int | None = None,
        *,
        speaker: int | None = None,
        severity: Severity | None = None,
        fix: str | None = None,
        words: Sequence[int] = (),
    ) -> Finding:
        """A finding of this kind; `until` is `call`, severity and fix are the kind's, unless they are given."""
        last = call if until is None else max(call, until)
        return Finding(self.name, call, last, speaker, severity or self.severity, text, fix or self.fix, tuple(words))


@dataclass(frozen=True)
class Verdict:
    """What all findings of a run come to, in a line."""

    severity: Literal["bad", "note", "good"]
    text: str
    call: int | None  # where to look


def verdict(found: Sequence[Finding], unexpected: int | None = None) -> Verdict:
    """What findings come to.

    Args:
        found: worst first.
        unexpected: where to look when there are none: the call with the least likely draws.
    """
    if not found:
        return Verdict("good", "Nothing is wrong that can be told.", unexpected)
    worst, others = found[0], len(found) - 1
    more = f" ({others} more)" if others else ""
    return Verdict(worst.severity, f"{worst.text}{more}", worst.call)
