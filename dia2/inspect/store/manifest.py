"""The manifest of a trace, checked by the types that it declares: a trace can come from anybody."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from dia2.common.checks import TooLargeError, is_file, read_small, short
from dia2.common.errors import TraceError, one_line
from dia2.common.hooks import Level
from dia2.inspect.store.bounds import Count, Names
from dia2.inspect.store.layout import FORMAT, MANIFEST, MAX_MANIFEST, VERSION

T = TypeVar("T")


@dataclass(frozen=True)
class Budget:
    """Where the budget of bytes was reached."""

    tokens_only_from_call: Count | None = None


@dataclass(frozen=True, kw_only=True)
class Head:
    """What every trace's manifest says, whatever model ran; a family adds its own fields and decodes it as a whole."""

    status: Literal["running", "complete", "interrupted", "failed"]  # running: or killed
    error: str | None = None  # why it is not complete; one line, nothing that steers a terminal
    started: str  # UTC
    versions: dict[str, str]
    level: Level
    hooks: Names | str | None = None  # the filter, if there was one
    draws: Names  # names of the draws recorded
    never_fired: Names  # hook points that were asked for and never came
    budget: Budget
    calls: Count  # recorded in all; 0 while running

    def __post_init__(self) -> None:
        """Let `error` be fit for a message."""
        if self.error is not None:
            line = "".join(char if char.isprintable() else "�" for char in self.error[:500])
            object.__setattr__(self, "error", line)

    @property
    def tokens_only_from(self) -> int | None:
        """Call at which the byte budget was reached."""
        return self.budget.tokens_only_from_call

    def check_draws(self, names: Collection[str]) -> None:
        """Refuse draws that are not among `names`, or stand there twice."""
        require("draws", self.has_draws_of(names))

    def has_draws_of(self, names: Collection[str]) -> bool:
        """Its draws are among `names`, each once."""
        return set(self.draws) <= set(names) and len(set(self.draws)) == len(self.draws)


def read_raw_manifest(path: Path) -> dict[str, Any]:
    """The JSON object, checked for its format and version only."""
    file = path / MANIFEST
    if file.is_symlink() or not is_file(file):
        raise TraceError(f"{path} is not a trace: it has no {MANIFEST}; give the folder that --trace wrote.")
    try:
        raw = read_json(read_small(file, MAX_MANIFEST).decode("utf-8"))
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


def read_json(text: str) -> Any:
    """A JSON value without the numbers that JSON does not have.

    Raises:
        ValueError: it is none.
        RecursionError: it is too deep.
    """
    return json.loads(text, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")


class BadFieldError(ValueError):
    """A field, named from where it is raised, does not go with others; `decode` says so."""


def require(field: str, holds: bool) -> None:
    """Raise a `BadFieldError` if what must hold of a field does not; for `__post_init__`."""
    if not holds:
        raise BadFieldError(field)


def decode(raw: Mapping[str, Any], kind: type[T], path: Path, file: str = MANIFEST) -> T:
    """A trace's manifest, or another JSON file of it, as the dataclass `kind`; what is null stands for what is missing.

    Raises:
        TraceError: names the first field that is wrong, and its value.
    """
    given = {name: value for name, value in raw.items() if value is not None}
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise TraceError(f"{path / file} is damaged: {_what(error, raw)}.") from error
    except UnicodeEncodeError as error:
        raise TraceError(f"{path / file} is damaged: {short(error.object)} is not text.") from error


def _what(error: msgspec.ValidationError, raw: Any) -> str:
    """What is wrong, as `run.seed is -1`; msgspec says "Expected `int` >= 0 - at `$.run.seed`"."""
    found = re.fullmatch(r"(?:Object missing required field `(.*?)`)?.*?(?: - at `\$([^`]*)`)?", str(error), re.DOTALL)
    assert found is not None, "each of its parts may be empty"
    (missing, place), cause = found.groups(""), error.__cause__
    if cause is not None and not isinstance(cause, BadFieldError):
        return one_line(cause)
    where = place.split("[...]")[0]  # of what stands under some key, the whole object is told
    where = f"{where}.{cause or missing}".strip(".")
    for step in re.findall(r"\w+", where):
        if isinstance(raw, dict) and step not in raw:
            return f"{where} is missing"
        raw = raw[int(step) if step.isdigit() else step]
    return f"{where} is {short(raw)}"
