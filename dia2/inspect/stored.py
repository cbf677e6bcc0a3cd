"""What traces have in common, whatever model ran: how much of a run is here, its columns, single calls."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from dia2.checks import counted_from_0, is_folder, short
from dia2.errors import TraceError, UsageError
from dia2.inspect.layout import Layout
from dia2.inspect.manifest import Head
from dia2.inspect.phases import PhaseRun
from dia2.inspect.shards import Arrays, Shard
from dia2.messages import printable
from dia2.wording import counted

Run = TypeVar("Run")


class Stored:
    """A folder that a run was recorded to.

    Columns have one value per call, in the order of calls.
    """

    family: ClassVar[str]  # dia or dia2: which model ran
    layout: Layout
    manifest: Head
    phases: list[PhaseRun]

    def __init__(self, path: Path) -> None:
        """Note where it lies.

        Raises:
            TraceError: nothing is there.
        """
        self.path = path
        if not is_folder(path):
            raise TraceError(f"There is no trace {path}: give the folder that --trace wrote.")
        self._columns: Arrays = {}
        self._shards: list[Shard] = []

    def __repr__(self) -> str:
        return printable(f"<{type(self).__name__} {self.path}: {counted(len(self), 'call')}, {self.state}>")

    if not TYPE_CHECKING:  # a checker would take it to mean that every name is there

        def __getattr__(self, name: str) -> Any:
            """Say it where the other model's traces have what this one lacks."""
            from dia2.inspect.family import missing

            raise missing(self, name)

    def __len__(self) -> int:
        return len(self._columns["call"]) if self._columns else 0

    @property
    def state(self) -> str:
        """Complete, or partial and why, in words."""
        manifest = self.manifest
        if manifest.status == "running":
            return "partial: the run was killed, or still runs"
        if manifest.status != "complete":
            return f"partial: {manifest.error or manifest.status}"
        if manifest.calls != len(self):
            return f"partial: {len(self)} of {counted(manifest.calls, 'call')} {'is' if len(self) == 1 else 'are'} here"
        return "complete"

    @property
    def complete(self) -> bool:
        """The run ended by itself and all of it is here."""
        return self.state == "complete"

    def refuse_itself(self, path: str | Path, what: str) -> None:
        """Refuse to write `what` over this trace, whatever links lead there.

        Raises:
            UsageError: `path` is the trace itself.
        """
        if os.path.realpath(path) == os.path.realpath(self.path):
            raise UsageError(f"{path} is the trace itself: {what} needs a name of its own.")

    def _begun(self, run: Run | None) -> Run:
        """The run of the manifest.

        Raises:
            TraceError: it ended before it began.
        """
        if run is None:
            raise TraceError(f"{self.path} holds no calls: the run ended before its first ({self.state}).")
        return run

    @property
    def _given_calls(self) -> int:
        """Calls of the first phase, which draw nothing."""
        return int((self._columns["phase"] == 0).sum()) if self._columns else 0

    def column(self, name: str) -> np.ndarray:
        """A column of the `tokens` level by the name it has on disk (see docs/trace-format.md).

        Raises:
            TraceError: there is none of that name.
        """
        if name not in self._columns:
            raise TraceError(f"A trace has no column {name!r}; it has {', '.join(sorted(self._columns)) or 'none'}.")
        return self._columns[name]

    def check_call(self, call: int) -> int:
        """A call of this trace, as a plain number.

        Raises:
            UsageError: it is no whole number.
            TraceError: it is not there; says which there are.
        """
        number = counted_from_0(call, "call")
        if not 0 <= number < len(self):
            raise TraceError(f"There is no call {short(number)}: {self.path} has calls 0 … {len(self) - 1}.")
        return number

    def _row(self, call: int) -> dict[str, Any]:
        """The non-ragged columns of one call as its shard has them."""
        call = self.check_call(call)
        at = int(np.searchsorted([shard.first_call for shard in self._shards], call, side="right")) - 1
        arrays = self._shard(at)
        row = call - self._shards[at].first_call
        return {name: array[row] for name, array in arrays.items()}

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles: without the shards that are kept in memory, which are read again."""
        return {name: value for name, value in self.__dict__.items() if name != "_shard"}

    @cached_property
    def _shard(self) -> Callable[[int], Arrays]:
        """Columns of one shard; the last few are kept."""
        shards, ragged = self._shards, self.layout.ragged

        @lru_cache(maxsize=2)
        def read(index: int) -> Arrays:
            return shards[index].read([name for name in shards[index].columns if name not in ragged])

        return read
