"""What a trace's folder holds: manifest, phases, columns, draws and sound, read and checked."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from dia2.common.checks import counted_from_0, is_folder, short
from dia2.common.errors import TraceError, UsageError
from dia2.common.hooks import MAIN_CALL, MAX_CODEBOOKS, ONCE, HookPoint, numbered
from dia2.common.messages import printable
from dia2.common.wording import counted
from dia2.inspect.schema.adapter import Adapter
from dia2.inspect.schema.draw import Draw, chosen, stored_draws
from dia2.inspect.store.manifest import Head, read_raw_manifest
from dia2.inspect.store.phases import read_phases
from dia2.inspect.store.shards import Arrays, Shard, open_shards, read_tokens
from dia2.inspect.store.sound import read_audio
from dia2.inspect.trace.recordings import PrefixRecording

F = TypeVar("F", bound=Head, covariant=True)
Run = TypeVar("Run")


class TraceData(ABC, Generic[F]):
    """A folder that a run was recorded to, as data; `Trace` is what can be asked of it.

    `F` is the family's manifest. Columns have one value per call, in the order of calls; those that draw nothing, for a
    prefix or a prompt gives what they read, come first.
    """

    adapter: ClassVar[Adapter]  # of the family that ran

    def __init__(self, path: Path, raw: dict[str, Any] | None = None) -> None:
        """See `load`; `raw` is the manifest, if it has been read.

        Raises:
            TraceError: nothing is there, or it is damaged.
        """
        self.path = path
        if not is_folder(path):
            raise TraceError(f"There is no trace {path}: give the folder that --trace wrote.")
        self.manifest: F = self._parse(read_raw_manifest(path) if raw is None else raw)
        self.phases = read_phases(path)
        self._columns: Arrays = {}
        self._shards: list[Shard] = []
        sizes = self._sizes()
        if sizes is not None:
            self._shards = open_shards(path, self.adapter.layout, sizes)
            self._columns = read_tokens(self._shards, self.adapter.layout, sizes, path)
            self._check()

    # What a family fills in

    @abstractmethod
    def _parse(self, raw: Mapping[str, Any]) -> F:
        """Its manifest, checked.

        Raises:
            TraceError: it is damaged.
        """

    @abstractmethod
    def _sizes(self) -> dict[str, int] | None:
        """What the names in its columns' shapes and bounds stand for; `None`: no run began."""

    def _check(self) -> None:
        """Refuse calls that no run of the family makes, beyond what the bounds of its columns say.

        Raises:
            TraceError: says which.
        """

    def _audio_name(self, script: int) -> str | None:
        """Name of the file with a script's sound; `None`: there is none."""
        return None

    # What is here

    @property
    def family(self) -> str:
        """Name of the model family that ran, such as `dia2`."""
        return self.adapter.family

    @property
    def begun(self) -> bool:
        """Its run began."""
        return self._sizes() is not None

    @property
    def codebooks(self) -> int:
        """K: codebooks, or channels, of the checkpoint; the most there may be where no run began."""
        return self._size_of(self.adapter.axes[1], MAX_CODEBOOKS)

    @property
    def scripts(self) -> int:
        """B: how many scripts the run speaks side by side."""
        return self._size_of(self.adapter.axes[0], 1)

    def _size_of(self, axis: str | None, unknown: int) -> int:
        sizes = self._sizes()
        return unknown if sizes is None or axis is None else sizes[axis]

    def recorded(self, point: HookPoint) -> bool:
        """What a hook point tells is here; of a phase, that it was seen at least once."""
        drawn = len(self) > self.given_calls
        if point.activation is not None:  # a replay computes it
            return False
        if point.family == "phase":
            return any(run.name == point.name for run in self.phases)
        if point.name.startswith("draw."):
            wanted = {name.removeprefix("draw.") for name in numbered(point.name, self.codebooks)}
            return drawn and not wanted.isdisjoint(self.manifest.draws)
        if point.name.startswith("logits."):
            columns = self._row(self.given_calls) if drawn else {}
            return any(point.name.startswith(name) for name in self.adapter.layout.of_level("full") if name in columns)
        if point.when == ONCE:
            return self.begun
        return drawn if point.when == MAIN_CALL else len(self) > 0

    def __repr__(self) -> str:
        return printable(f"<{type(self).__name__} {self.path}: {counted(len(self), 'call')}, {self.state}>")

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
    def given_calls(self) -> int:
        """Calls that draw nothing, which come first: the warm-up of a prefix, the prefill of a prompt."""
        return int((self._columns["phase"] == 0).sum()) if self._columns else 0

    def column(self, name: str) -> np.ndarray:
        """A column of the `tokens` level by the name it has on disk (see docs/trace-format.md).

        Raises:
            TraceError: there is none of that name.
        """
        if not self.begun:
            raise TraceError(f"{self.path} holds no calls: the run ended before its first ({self.state}).")
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

    def check_script(self, script: int) -> int:
        """A script of this trace, as a plain number.

        Raises:
            UsageError: it is no whole number.
            TraceError: it is not there; says which there are.
        """
        number = counted_from_0(script, "script")
        if not 0 <= number < self.scripts:
            there = "one script" if self.scripts == 1 else f"scripts 0 … {self.scripts - 1}"
            raise TraceError(f"There is no script {short(number)}: {self.path} has {there}.")
        return number

    def _row(self, call: int) -> dict[str, Any]:
        """The non-ragged columns of one call as its shard has them."""
        call = self.check_call(call)
        at = int(np.searchsorted([shard.first_call for shard in self._shards], call, side="right")) - 1
        arrays = self._shard(at)
        row = call - self._shards[at].first_call
        return {name: array[row] for name, array in arrays.items()}

    def draws(self, call: int, script: int = 0) -> list[Draw]:
        """What the draws of a call chose among; empty where it drew nothing, and where the trace kept none.

        What a prompt gives or a countdown forces has its draw all the same.
        """
        script, columns, names = self.check_script(script), self._row(call), self.manifest.draws
        own = slice(script * len(names), (script + 1) * len(names))
        mine = {name: array[own] for name, array in columns.items() if name.startswith("draw.")}
        if not names:
            return []
        taken = chosen(columns, names, self.adapter.draw_columns(self.codebooks))  # [D], or [scripts, D]
        return stored_draws(mine, names, (taken if taken.ndim == 1 else taken[script]).tolist())

    def draw_parts(self, script: int, also: Sequence[str] = ()) -> Iterator[tuple[Arrays, np.ndarray]]:
        """Shard by shard, the columns `draw.*` [n, D, …] of a script, if they are there, and what was drawn [n, D].

        With them come those columns of `also` that a shard has, as they are.
        """
        names, of = self.manifest.draws, self.adapter.draw_columns(self.codebooks)
        own, wanted = slice(script * len(names), (script + 1) * len(names)), {*of.values(), *also}
        for shard in self._shards:
            stored = shard.read(
                [name for name in shard.columns if name.startswith("draw.") or name in {*wanted, *also}]
            )
            taken = chosen(stored, names, of)  # [n, D], or [n, scripts, D]
            mine = {name: column[:, own] for name, column in stored.items() if name.startswith("draw.")}
            mine |= {name: stored[name] for name in also if name in stored}
            yield mine, taken if taken.ndim == 2 else taken[:, script]

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles: without the shards that are kept in memory, which are read again."""
        return {name: value for name, value in self.__dict__.items() if name != "_shard"}

    @cached_property
    def _shard(self) -> Callable[[int], Arrays]:
        """Columns of one shard; the last few are kept."""
        shards, ragged = self._shards, self.adapter.layout.ragged

        @lru_cache(maxsize=2)
        def read(index: int) -> Arrays:
            return shards[index].read([name for name in shards[index].columns if name not in ragged])

        return read

    @property
    def recordings(self) -> list[PrefixRecording]:
        """The recordings that the run went on from, those whose sound the trace keeps; none of most families."""
        return []

    def given_samples(self, script: int = 0) -> int:
        """Samples at the front of a script's sound that are not the run's own, but of a prefix that it goes on from."""
        self.check_script(script)
        return 0

    def sound(self, script: int = 0) -> tuple[np.ndarray, int] | None:
        """(waveform [N] float32, sample rate) of a script's result; `None` if there is none.

        Raises:
            TraceError: there is no such script, or the file is damaged.
        """
        name = self._audio_name(self.check_script(script))
        return None if name is None else read_audio(self.path, name)
