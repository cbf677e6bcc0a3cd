"""What a sweep asks of a model family: an engine that makes runs by settings that came out of a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from dia2.common.hooks import Level

PLACES = ("nano", "hf", "config", "weights")  # what of a plan's `[model]` says where a checkpoint is
Settings = Mapping[str, Any]  # of a run, by name: strings, numbers, and what JSON has of lists and objects


class Recorded(NamedTuple):
    """Where a run is to be recorded, and how."""

    folder: Path  # of the trace
    level: Level


class Made(NamedTuple):
    """What became of a run."""

    error: Exception | None  # by which it failed
    seconds: float | None = None  # that it took, side by side with others


class MakingStopped(KeyboardInterrupt):
    """Ctrl-C; `made` has what became of each run, `None` of those that did not come to their end."""

    def __init__(self, made: Sequence[Made | None]) -> None:
        super().__init__("Runs were interrupted.")
        self.made = list(made)


class Maker(Protocol):
    """An engine of one checkpoint. `Adapter.maker` names what opens one, given a plan's `[model]`."""

    @property
    def name(self) -> str:
        """Of the checkpoint, short: `nano`."""

    @property
    def checkpoint(self) -> Mapping[str, str | None]:
        """Hashes of its parts, and the numbers it computes with; nothing is loaded for them."""

    @property
    def device(self) -> str:
        """On which runs are made."""

    @property
    def columns(self) -> Mapping[str, str]:
        """Settings that every run has, by name, with the kinds of their columns; see `dia2.inspect.sweeps.rows`."""

    def described(self, settings: Settings) -> Mapping[str, Any]:
        """The values of those settings that are in force in a run.

        Raises:
            UsageError: no checkpoint can run by such settings.
        """

    def identity(self, settings: Settings) -> Mapping[str, Any]:
        """All that decides a run besides the checkpoint, as JSON has it; two runs of one identity are the same.

        Recordings count by what is in them, not by their names.

        Raises:
            UsageError: no checkpoint can run by such settings.
        """

    def check_whisper(self, name: str) -> None:
        """Refuse a Whisper checkpoint that cannot be listened with.

        Raises:
            UsageError: there is none of that name, or Whisper is not installed.
        """

    def recordings(self, settings: Settings) -> Sequence[Path]:
        """Sound files of people that the run goes on from."""

    def make(self, runs: Sequence[tuple[Settings, Recorded]], rows: int, tell: Callable[[], object]) -> Sequence[Made]:
        """Make runs, up to `rows` of them side by side; `tell` is called after every frame of each.

        Raises:
            Dia2Error: the checkpoint cannot be loaded.
            MakingStopped: Ctrl-C; finished runs are recorded.
        """

    def close(self) -> None:
        """Let go of the weights; the next run loads them again."""
