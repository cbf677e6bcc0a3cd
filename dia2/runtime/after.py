"""What is recorded of a call and known before the next one: what an edit's `Where` can wait for.

All of it is the state machine's, which the host knows when the network begins. What a call computes or draws itself is
known only afterwards, and codes stay on the device.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from dia2.common.checks import short
from dia2.common.errors import UsageError
from dia2.runtime.observed import MachineRow
from dia2.runtime.state_machine import TokenIds

Range = tuple[int | None, int | None]  # the least and the most; `None`: no bound
Wanted = str | Range
Conditions = tuple[tuple[str, Wanted], ...]  # by column, all of which hold together

_ACTIONS = ("new_word", "pad")
_MOST = 2**31 - 1


class Before(NamedTuple):
    """The state machine after the call before, by the names of `trace.frames[…].machine`."""

    action: str  # new_word or pad, before the machine's constraints
    main: int  # text token that it emitted to the main stream, which the call reads
    second: int  # likewise, to the second stream
    consumed: int  # 1: an entry was taken, breaks included
    padding_budget: int
    forced_padding: int
    end_step: int | None  # at which it asked for a word in vain; `None`: not yet

    @classmethod
    def of(cls, row: MachineRow, ids: TokenIds) -> Before:
        """Of what is recorded of a call."""
        return cls(
            action=ids.action_name(row.action, text=row.forced),
            main=row.main,
            second=row.second,
            consumed=int(row.consumed),
            padding_budget=row.padding_budget,
            forced_padding=row.forced_padding,
            end_step=row.end_step,
        )


def conditions(given: object) -> Conditions:
    """What `Where(after=…)` was given, checked.

    Raises:
        UsageError: it names no columns, or one that is known only afterwards; or no value for it.
    """
    if isinstance(given, tuple):  # as it is kept
        given = dict(given) if all(isinstance(pair, tuple) and len(pair) == 2 for pair in given) else None
    if not isinstance(given, Mapping) or not given:
        raise UsageError("Where's after is what the call before had, by column: {'action': 'new_word'}.")
    return tuple(sorted((_column(name), _wanted(name, value)) for name, value in given.items()))


def _column(name: object) -> str:
    if name not in Before._fields:
        raise UsageError(
            f"Where's after cannot ask for {short(name)}: before the network runs, only {', '.join(Before._fields)} of "
            "the call before are known."
        )
    return str(name)


def _wanted(name: str, value: Any) -> Wanted:
    if name == "action":
        if value not in _ACTIONS:
            raise UsageError(f"Where's after has the action new_word or pad, not {short(value)}.")
        return str(value)
    ends = value if isinstance(value, tuple | list) else (value, value)
    if len(ends) != 2 or ends == (None, None) or not all(end is None or _whole(end) for end in ends):
        raise UsageError(
            f"Where's after has for {name} a whole number, or the least and the most one, not {short(value)}."
        )
    least, most = (None if end is None else int(end) for end in ends)
    if least is not None and most is not None and least > most:
        raise UsageError(f"Where's after has for {name} the least number first, not {short(value)}.")
    return least, most


def _whole(value: object) -> bool:
    return isinstance(value, int) and -_MOST <= value <= _MOST


def hold(wanted: Conditions, before: Before | None) -> bool:
    """Whether a call comes after one that is wanted; `None`: it is the first."""
    return before is not None and all(_holds(value, getattr(before, name)) for name, value in wanted)


def _holds(wanted: Wanted, value: int | str | None) -> bool:
    if isinstance(wanted, str) or isinstance(value, str):
        return wanted == value
    least, most = wanted
    return value is not None and (least is None or value >= least) and (most is None or value <= most)


def in_words(wanted: Conditions) -> str:
    """For people."""
    return "after " + ", ".join(f"{name} {_told(value)}" for name, value in wanted)


def _told(value: Wanted) -> str:
    if isinstance(value, str):
        return value
    least, most = value
    if least == most:
        return str(least)
    return f"≥ {least}" if most is None else f"≤ {most}" if least is None else f"{least} … {most}"
