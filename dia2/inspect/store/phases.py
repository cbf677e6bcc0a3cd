"""The phases of a recorded run, read from `phases.jsonl`."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from dia2.common.brief import brief_repr
from dia2.common.checks import TooLargeError, is_file, is_number, read_small
from dia2.common.errors import TraceError, one_line
from dia2.common.hooks import PHASES
from dia2.inspect.store.layout import MAX_PHASE_LINES, MAX_PHASES, PHASES_FILE


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
        if not _take(line, found):
            raise TraceError(f"{file} is damaged in line {number}.")
    return list(found.values())


def _take(line: str, found: dict[int, PhaseRun]) -> bool:
    """Add one event; false if it is none."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return False
    if not isinstance(event, dict):
        return False
    event = cast(dict[str, Any], event)
    number = event.get("id")
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 1 << 31:
        return False
    if event.get("event") == "begin":
        name, at, parent = event.get("phase"), event.get("at"), event.get("parent")
        trigger, before = event.get("trigger"), event.get("before")
        if not isinstance(name, str) or name not in PHASES or number in found:
            return False
        if parent is not None and (type(parent) is not int or parent not in found):
            return False
        if not is_number(at) or not isinstance(trigger, str) or not isinstance(before, str):
            return False
        found[number] = PhaseRun(number, name, parent, float(at), trigger, before)
        return True
    begun, seconds, error = found.get(number), event.get("seconds"), event.get("error")
    said = event.get("mutations", ""), event.get("outputs", "")
    if event.get("event") != "end" or begun is None or begun.seconds is not None or not is_number(seconds):
        return False
    if not all(isinstance(part, str) for part in said) or not (error is None or isinstance(error, str)):
        return False
    found[number] = replace(begun, seconds=float(seconds), mutations=said[0], outputs=said[1], error=error)
    return True
