"""Where two runs part, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from dia2.common.brief import brief_repr
from dia2.common.checks import short
from dia2.common.errors import TraceError, UsageError
from dia2.inspect.trace.trace import Trace


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same in both runs."""

    __repr__ = brief_repr

    call: int | None  # `None`: it holds from the start
    what: str  # a setting, “edit”, “action”, “machine.forced_padding”, “main”, “codebook 3” …
    a: str
    b: str


@dataclass(frozen=True)
class Diff:
    """How two traces differ."""

    __repr__ = brief_repr

    settings: list[Difference]  # of the whole run: script, seed, guidance, checkpoint …
    edits: list[Difference]  # declared interventions that only one of them has, by call
    parts: list[Difference]  # all that differs at the first call that is not the same, causes first
    shared: int  # calls from the start that are the same in both
    calls: tuple[int, int]  # of each

    @property
    def same(self) -> bool:
        """Every call of both runs is the same, and so are settings and edits."""
        return not (self.settings or self.edits or self.parts)

    @property
    def first(self) -> Difference | None:
        """The first cause: an edit before or at the first differing call, else what differs there first."""
        parted = self.parts[0] if self.parts else None
        for edit in self.edits:
            if edit.call is not None and (parted is None or parted.call is None or edit.call <= parted.call):
                return edit
        return parted or (self.settings[0] if self.settings else None)


def diff(a: Trace[Any], b: object, ignore: Collection[str] = ()) -> Diff:
    """Compare two traces, call by call.

    Args:
        a: one.
        b: the other.
        ignore: patterns of what may differ, as `Difference.what` names it: `seed`, `machine.entries_left` for a run
            whose text was streamed beside one that had it whole, `codebook *` for the text alone, `* drawn`.

    Raises:
        TraceError: `b` is of another model.
        UsageError: `b` is no trace.
    """
    other = of_same_model(a, b)

    def counted(differences: Iterable[Difference]) -> list[Difference]:
        return [d for d in differences if not any(fnmatchcase(d.what, pattern) for pattern in ignore)]

    shorter, longer = sorted((len(a), len(other)))
    shared, parted = shorter, list[Difference]()
    for call in _unequal_calls(a, other, shorter):
        if parted := counted(_parts(a, other, call)):
            shared = call
            break
    if shared == shorter < longer:
        ends = ["ends" if shorter == len(trace) else "goes on" for trace in (a, other)]
        parted = counted([Difference(shorter, "length", *ends)])
    return Diff(counted(_settings(a, other)), _edits(a, other), parted, shared, (len(a), len(other)))


def of_same_model(a: Trace[Any], b: object) -> Trace[Any]:
    """`b`, which is to be a trace of the model that made `a`.

    Raises:
        UsageError: it is no trace, perhaps its path.
        TraceError: it is one of another model.
    """
    if not isinstance(b, Trace):
        raise UsageError(f"{short(b)} is not a trace: open it by dia2.inspect.load(path).")
    if b.adapter is not a.adapter:
        raise TraceError(
            f"{a.path} is a run of {a.adapter.title} and {b.path} one of {b.adapter.title}: compare runs of one model."
        )
    return b


def _unequal_calls(a: Trace[Any], b: Trace[Any], count: int) -> list[int]:
    """Of the first `count` calls those at which some column differs, wall times aside."""
    layout, unequal = a.adapter.layout, np.zeros(count, dtype=bool)
    for name in layout.of_level("tokens") if count else ():
        left, right = a.column(name), b.column(name)
        ragged = name.removesuffix("_end")
        if name in layout.ragged or layout.columns[name].is_time:
            continue
        if ragged != name and ragged in layout.ragged:
            unequal |= _unequal_lists(a, b, ragged, count)
        elif left.shape[1:] != right.shape[1:]:
            unequal[:] = True
        else:
            unequal |= (left[:count] != right[:count]).reshape(count, -1).any(axis=1)
    found: list[int] = np.flatnonzero(unequal).tolist()
    return found


def _unequal_lists(a: Trace[Any], b: Trace[Any], name: str, count: int) -> np.ndarray:
    """[count] whether a call's part of a ragged column differs."""
    parts = []
    for trace in (a, b):
        ends = trace.column(f"{name}_end")[:count]
        parts.append(np.split(trace.column(name)[: int(ends[-1])], ends[:-1]))
    return np.array([not np.array_equal(left, right) for left, right in zip(*parts, strict=True)])


def _parts(a: Trace[Any], b: Trace[Any], call: int) -> Iterator[Difference]:
    """What differs at one call, in the order in which it comes about."""
    scripts = sorted((a.scripts, b.scripts))
    left, right = ({what: (value, text) for what, value, text in trace.parts(call, *scripts)} for trace in (a, b))
    for what in dict.fromkeys((*left, *right)):
        (value, text), (other, other_text) = left.get(what, (None, "None")), right.get(what, (None, "None"))
        if value != other:
            same = text == other_text  # two numbers for the same thing
            yield Difference(call, what, *((str(value), str(other)) if same else (text, other_text)))


def _settings(a: Trace[Any], b: Trace[Any]) -> Iterator[Difference]:
    most = max(a.scripts, b.scripts)
    left, right = a.settings(most), b.settings(most)
    for name in dict.fromkeys((*left, *right)):
        if left.get(name) != right.get(name):
            yield Difference(None, name, str(left.get(name)), str(right.get(name)))


def _edits(a: Trace[Any], b: Trace[Any]) -> list[Difference]:
    """Edits that one run has and the other has not."""
    left, right = a.edits(), b.edits()
    found = [Difference(call, "edit", text, "none") for call, text in left if (call, text) not in right]
    found += [Difference(call, "edit", "none", text) for call, text in right if (call, text) not in left]
    return sorted(found, key=lambda difference: difference.call or 0)
