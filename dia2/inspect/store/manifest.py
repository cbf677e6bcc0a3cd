"""The manifest of a trace, checked field by field: a trace can come from anybody."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dia2.common.checks import TooLargeError, is_file, is_number, read_small, short
from dia2.common.errors import TraceError, one_line
from dia2.common.hooks import LEVELS, Level
from dia2.inspect.store.layout import FORMAT, MANIFEST, MAX_CALLS, MAX_MANIFEST, VERSION

STATUSES = ("running", "complete", "interrupted", "failed")


@dataclass(frozen=True)
class Head:
    """What every trace's manifest says, whatever model ran."""

    status: str  # running (or killed), complete, interrupted, failed
    error: str | None  # why it is not complete
    started: str  # UTC
    versions: dict[str, str]
    level: Level
    hooks: list[str] | str | None  # the filter, if there was one
    draws: list[str]  # names of the draws recorded
    never_fired: list[str]  # hook points that were asked for and never came
    tokens_only_from: int | None  # call at which the byte budget was reached
    calls: int  # recorded in all; 0 while running


def read_raw_manifest(path: Path) -> dict[str, Any]:
    """The JSON object, checked for its format and version only."""
    file = path / MANIFEST
    if file.is_symlink() or not is_file(file):
        raise TraceError(f"{path} is no trace: it has no {MANIFEST}; give the folder that --trace wrote.")
    try:
        raw = json.loads(read_small(file, MAX_MANIFEST).decode("utf-8"))
    except (OSError, ValueError, RecursionError, TooLargeError) as error:
        raise TraceError(f"{file} cannot be read ({one_line(error)}): the trace is damaged.") from error
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise TraceError(f"{file} is not the manifest of a trace: give the folder that --trace wrote.")
    version = raw.get("version")
    if isinstance(version, int) and not isinstance(version, bool) and version > VERSION:
        raise TraceError(
            f"{path} has trace format {short(version)}, this dia2 reads up to {VERSION}: update dia2 (pip install -U)."
        )
    if version != VERSION or isinstance(version, bool):
        raise TraceError(f"{path} has no trace format that this dia2 knows ({short(version)}).")
    return raw


def parse_head(at: Reader, draws: Collection[str]) -> Head:
    """Check the fields that every manifest has; `draws` are the names that draws can have."""
    status, level = at.text("status"), at.text("level")
    if status not in STATUSES or level not in LEVELS:
        raise at.bad("status" if status not in STATUSES else "level")
    hooks = at.raw.get("hooks")
    names = at.texts("draws")
    if not set(names) <= set(draws) or len(set(names)) != len(names):
        raise at.bad("draws")
    return Head(
        status=status,
        error=at.optional_line("error"),
        started=at.text("started"),
        versions={name: value for name, value in at.inner("versions").raw.items() if isinstance(value, str)},
        level=LEVELS[LEVELS.index(level)],
        hooks=hooks if isinstance(hooks, str) else None if hooks is None else at.texts("hooks"),
        draws=names,
        never_fired=at.texts("never_fired"),
        tokens_only_from=at.inner("budget").optional_integer("tokens_only_from_call", 0, MAX_CALLS),
        calls=at.integer("calls", 0, MAX_CALLS),
    )


def parse_hashes(at: Reader) -> dict[str, str | None]:
    """SHA-256 of the checkpoint's parts."""
    hashes = at.inner("hashes").raw
    if not all(value is None or isinstance(value, str) for value in hashes.values()):
        raise at.bad("hashes")
    return dict(hashes)


class Reader:
    """Fields of one JSON object, each with its type and bounds; what is wrong raises a TraceError."""

    def __init__(self, raw: Mapping[str, Any], path: Path, where: str = "") -> None:
        self.raw, self.path, self._where = raw, path, where

    def bad(self, name: str) -> TraceError:
        """The error for a field."""
        value = short(self.raw.get(name, "missing"))
        return TraceError(f"{self.path / MANIFEST} is damaged: {self._where}{name} is {value}.")

    def inner(self, name: str) -> Reader:
        """An object."""
        value = self.raw.get(name)
        if not isinstance(value, dict):
            raise self.bad(name)
        return Reader(value, self.path, f"{self._where}{name}.")

    def text(self, name: str) -> str:
        """A text."""
        value = self.raw.get(name)
        if not isinstance(value, str):
            raise self.bad(name)
        return value

    def optional_text(self, name: str) -> str | None:
        """A text, or none."""
        return None if self.raw.get(name) is None else self.text(name)

    def optional_line(self, name: str) -> str | None:
        """Text that goes into messages: one line, nothing that steers a terminal."""
        text = self.optional_text(name)
        return text and "".join(char if char.isprintable() else "�" for char in text[:500])

    def texts(self, name: str) -> list[str]:
        """A list of texts."""
        value = self.raw.get(name)
        if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
            raise self.bad(name)
        return value

    def number(self, name: str, least: float, most: float) -> float:
        """A finite number within bounds."""
        value = self.raw.get(name)
        if not is_number(value) or not least <= value <= most:
            raise self.bad(name)
        return float(value)

    def integer(self, name: str, least: int, most: int) -> int:
        """A whole number within bounds."""
        value = self.raw.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.bad(name)
        return value

    def optional_integer(self, name: str, least: int, most: int) -> int | None:
        """A whole number within bounds, or none."""
        return None if self.raw.get(name) is None else self.integer(name, least, most)

    def integers(self, name: str, least: int, most: int) -> list[int]:
        """A list of whole numbers within bounds."""
        value = self.raw.get(name)
        if not isinstance(value, list):
            raise self.bad(name)
        for part in value:
            if isinstance(part, bool) or not isinstance(part, int) or not least <= part <= most:
                raise self.bad(name)
        return value

    def rows(self, name: str, most: int) -> list[Any]:
        """A list of at most so many of whatever."""
        value = self.raw.get(name)
        if not isinstance(value, list) or len(value) > most:
            raise self.bad(name)
        return value
