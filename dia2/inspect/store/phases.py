"""The phases of a recorded run, read from `phases.jsonl`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from dia2.common.brief import brief_repr
from dia2.common.checks import TooLargeError, is_file, is_number, read_small
from dia2.common.errors import TraceError, one_line
from dia2.common.hooks import PHASES
from dia2.inspect.store.layout import MAX_PHASE_LINES, MAX_PHASES, PHASES_FILE
from dia2.inspect.store.manifest import read_json

MAX_ID = 2**31 - 1


@dataclass(frozen=True)
class PhaseRun:
    """One run of a phase."""

    __repr__ = brief_repr

    id: int  # in the order of their beginnings, from 1
    name: str  # a phase of `dia2.common.hooks`
    parent: int | None  # id of the phase it ran in
    at: float  # seconds from the start of the recording
    trigger: str
    before: str  # the state before
    mutations: str = ""
    outputs: str = ""
    seconds: float | None = None  # `None`: it never ended
    error: str | None = None

    @property
    def ended_well(self) -> bool:
        """It ran to its end without an error."""
        return self.seconds is not None and self.error is None


def read_phases(path: Path) -> list[PhaseRun]:
    """All phases in the order of their beginnings; a last line cut short by a crash is left out.

    Raises:
        TraceError: the file is damaged elsewhere than at its end.
    """
    file = path / PHASES_FILE
    if file.is_symlink() or not is_file(file):
        return []
    try:
        lines = read_small(file, MAX_PHASES).decode("utf-8").split("\n")
    except (OSError, ValueError, TooLargeError) as error:
        raise TraceError(f"{file} cannot be read ({one_line(error)}): the trace is damaged.") from error
    whole = lines[:-1]  # what follows the last newline was not finished
    if len(whole) > MAX_PHASE_LINES:
        raise TraceError(f"{file} has {len(whole):,} lines, more than any run writes: the trace is damaged.")
    found: dict[int, PhaseRun] = {}
    for number, line in enumerate(whole, 1):
        try:
            _take(read_json(line), found)
        except (ValueError, RecursionError) as error:
            raise TraceError(f"{file} is damaged in line {number}.") from error
    return list(found.values())


def _take(event: Any, found: dict[int, PhaseRun]) -> None:
    """Add one event.

    Raises:
        ValueError: it is none, or does not go with those before.
    """
    match event:
        case {"event": "begin", "id": int(number), "phase": name, "at": at} if is_number(at) and number not in found:
            begin = {"name": name, "parent": None} | _some(event, "id", "parent", "at", "trigger", "before")
            begun = msgspec.convert(begin, PhaseRun)
            inside = begun.parent is None or begun.parent in found
            if not (0 <= number <= MAX_ID and begun.name in PHASES and inside):
                raise ValueError("no such phase can begin")
            found[number] = begun
        case {"event": "end", "id": int(number), "seconds": seconds} if is_number(seconds) and number in found:
            if found[number].seconds is not None:
                raise ValueError("the phase has ended")
            end = _some(event, "id", "seconds", "mutations", "outputs", "error")
            found[number] = msgspec.convert(vars(found[number]) | end, PhaseRun)
        case _:
            raise ValueError("no event, or of a phase that has begun, or not begun")


def _some(event: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: event[name] for name in names if name in event}
