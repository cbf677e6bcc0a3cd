"""Where two runs part, and why."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from itertools import zip_longest
from typing import TypeVar

from dia2.brief import brief_repr
from dia2.checks import short
from dia2.edits import ChangeSampling, Edit
from dia2.errors import TraceError, UsageError
from dia2.hooks import MachineRow
from dia2.inspect.machine import drawn_action
from dia2.inspect.stored import Stored
from dia2.inspect.trace import Trace

Kind = TypeVar("Kind", bound=Stored)


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same in both runs."""

    __repr__ = brief_repr

    call: int | None  # none: it holds from the start
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


def diff(a: Trace, b: Stored, ignore: Collection[str] = ()) -> Diff:
    """Compare two traces, call by call.

    Args:
        a: one.
        b: the other.
        ignore: patterns of what may differ, as `Difference.what` names it: `machine.entries_left` for a run whose text
            was streamed beside one that had it whole, `codebook *` for the text alone.

    Raises:
        TraceError: `b` is of another model.
        UsageError: `b` is no trace.
    """
    other = of_same_model(a, b)
    return compared(
        _settings(a, other), _edits(a, other), lambda call: _parts(a, other, call), (len(a), len(other)), ignore
    )


def of_same_model(a: Kind, b: object) -> Kind:
    """`b`, which is to be a trace of the model that made `a`.

    Raises:
        UsageError: it is no trace, perhaps its path.
        TraceError: it is one of the other model.
    """
    if not isinstance(b, Stored):
        raise UsageError(f"{short(b)} is no trace: open it by dia2.inspect.load(path).")
    if not isinstance(b, type(a)):
        raise TraceError(
            f"{a.path} is a run of {a.family.capitalize()} and {b.path} one of {b.family.capitalize()}: "
            "compare runs of one model."
        )
    return b


def compared(
    settings: Iterable[Difference],
    edits: list[Difference],
    parts: Callable[[int], Iterator[Difference]],
    calls: tuple[int, int],
    ignore: Collection[str],
) -> Diff:
    """How two runs of the same model differ.

    Args:
        settings: that differ.
        edits: likewise.
        parts: what differs at one call, and, past the end of the shorter run, that.
        calls: of each.
        ignore: see `diff`.
    """

    def counted(differences: Iterable[Difference]) -> Iterator[Difference]:
        return (d for d in differences if not any(fnmatchcase(d.what, pattern) for pattern in ignore))

    shared = next((call for call in range(min(calls)) if any(counted(parts(call)))), min(calls))
    parted = list(counted(parts(shared))) if shared < max(calls) else []
    return Diff(list(counted(settings)), edits, parted, shared, calls)


def _parts(a: Trace, b: Trace, call: int) -> Iterator[Difference]:
    """What differs at one call, in the order in which a frame makes it."""
    if call >= min(len(a), len(b)):
        yield from ended(call, len(a), len(b))
        return
    for name in ("phase", "step", "position", "slot"):
        yield from different(call, name, a.column(name)[call], b.column(name)[call])
    for channel, (left, right) in enumerate(zip_longest(a.step_tokens[call, 0], b.step_tokens[call, 0])):
        if left != right:
            seen = ("main text", "second text")[channel] if channel < 2 else f"codebook {channel - 2}"
            yield Difference(call, f"{seen} as seen", str(left), str(right))
    left_row, right_row = a.machine_at(call), b.machine_at(call)
    if left_row.action != right_row.action:
        drawn = [drawn_action(t.model.tokens, row.action, row.forced) for t, row in ((a, left_row), (b, right_row))]
        same = drawn[0] == drawn[1]  # one was given, in the text's ids
        yield Difference(call, "action", *((str(left_row.action), str(right_row.action)) if same else drawn))
    for field in fields(MachineRow):
        if field.name not in ("step", "action", "main", "second"):
            left, right = getattr(left_row, field.name), getattr(right_row, field.name)
            yield from different(call, f"machine.{field.name}", left, right)
    yield from different(call, "main", left_row.main, right_row.main)
    yield from different(call, "second", left_row.second, right_row.second)
    for k, (left, right) in enumerate(zip_longest(a.codes[call], b.codes[call])):
        yield from different(call, f"codebook {k}", left, right)


def ended(call: int, a: int, b: int) -> Iterator[Difference]:
    """That one of two runs, of `a` and `b` calls, ends before `call`."""
    ends = ["ends" if call >= calls else "goes on" for calls in (a, b)]
    if ends[0] != ends[1]:
        yield Difference(call, "length", *ends)


def different(call: int | None, what: str, left: object, right: object) -> Iterator[Difference]:
    """That two values differ, if they do."""
    if left != right:
        yield Difference(call, what, str(left), str(right))


def _settings(a: Trace, b: Trace) -> Iterator[Difference]:
    left, right = a.run, b.run
    yield from different(None, "script", a.manifest.script, b.manifest.script)
    yield from different(None, "seed", left.seed, right.seed)
    for name in ("cfg_scale", "cfg_filter_k", "initial_padding"):
        yield from different(None, name, getattr(left.config, name), getattr(right.config, name))
    for block in ("text", "audio"):
        for name in ("temperature", "top_k"):
            pair = (getattr(getattr(run.config, block), name) for run in (left, right))
            yield from different(None, f"{block}.{name}", *pair)
    for name in ("prefix_frames", "prefix_words"):
        yield from different(None, name, getattr(left, name), getattr(right, name))
    for name in sorted(set(left.hashes) | set(right.hashes)):
        yield from different(None, f"checkpoint's {name}", left.hashes.get(name), right.hashes.get(name))
    for name in ("device", "dtype"):
        yield from different(None, name, getattr(left.model, name), getattr(right.model, name))


def _edits(a: Trace, b: Trace) -> list[Difference]:
    """Edits that one run has and the other has not."""
    found = [Difference(edit.call, "edit", _say(edit), "none") for edit in a.run.edits if edit not in b.run.edits]
    found += [Difference(edit.call, "edit", "none", _say(edit)) for edit in b.run.edits if edit not in a.run.edits]
    return sorted(found, key=lambda difference: difference.call or 0)


def _say(edit: Edit) -> str:
    """An edit without its call, which stands beside it."""
    return f"{edit.what} (from here on)" if isinstance(edit, ChangeSampling) else edit.what
