"""What a recorder knows of one model family: what its phases tell, and how its finished calls become columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np

from dia2.common.hooks import Span
from dia2.inspect.record.sink import TraceSink
from dia2.inspect.schema.saying import Sayings

LEFT = "the run was left before its end"
STOPPED = "interrupted by the user"


class Recording(Protocol):
    """One model's part in recording a run; `Recorder` makes it when the first phase of that model begins.

    `note`, `take`, `examine` and `refresh` are there for who needs them.
    """

    say: ClassVar[Sayings]  # the texts of its phases
    draws: list[str]  # names of those that are recorded, once a run has begun

    def __init__(self, sink: TraceSink) -> None:
        """Begin with a manifest that says nothing of any model yet."""

    def note(self, span: Span) -> None:
        """Keep in a phase that begins what the sayings of its end are to know."""
        return

    def codebooks(self, span: Span) -> int:
        """Codebooks, or channels, of the run that begins with this span."""

    def begin_run(self, span: Span, selected: frozenset[str]) -> None:
        """Note what decides the run, of which the points `selected` are recorded, and begin the sink."""

    def learn(self, span: Span) -> None:
        """Keep what a phase that ended well tells of the run."""

    def first(self, frames: Any) -> int:
        """Number of the first of some finished calls."""

    def count(self, frames: Any) -> int:
        """How many they are."""

    def kind(self, frames: Any) -> object:
        """What must be equal for calls to stand in one shard."""

    def take(self, frames: Any) -> None:
        """Look at finished calls, whether they can be written or not."""
        return

    def copied(self, frames: Any) -> Any:
        """The same with tensors of its own."""

    def held_bytes(self, frames: Any) -> int:
        """Bytes of logits a call."""

    def columns(self, parts: Sequence[Any], *, draws: bool, logits: bool) -> Mapping[str, np.ndarray]:
        """Columns of a shard of finished calls in a row: with what was selected of draws and logits, or without."""

    def refresh(self) -> bool:
        """Bring the manifest up to date before a shard or the end; whether anything changed."""
        return False

    def examine(self) -> None:
        """Look at the finished run as the family's doctor needs it, which may take a while, and keep what was found."""
        return

    def cut_short(self) -> str | None:
        """Why a run that raised nothing is not complete; `None`: it is."""
