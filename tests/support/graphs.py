"""A stand-in for CUDA graphs on a CPU, as strict as they are.

What CUDA records is a list of kernels with their arguments: plain numbers and addresses. So a replay here must do
what the first one did, operation by operation: with the same plain arguments, on the same addresses outside of the
half. It may neither wait for the device nor copy from the host, and what it makes must be gone when it is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import zip_longest
from typing import Any

import pytest
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from dia import Dia
from dia.pool import STATES, PooledState
from dia2 import Dia2
from dia2.runtime.lease import Pool
from dia2.runtime.pool import StatePool

SYNCS = {"aten::_local_scalar_dense", "aten::item", "aten::nonzero", "aten::is_nonzero", "aten::equal"}
FROM_HOST = {"aten::lift_fresh", "aten::lift_fresh_copy"}  # what torch.tensor([…]) ends in
_Operation = tuple[object, list[object]]


class _Replay(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's base class has no types
    """One run of a half: its operations, and what came into being."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # likewise
        self.operations: list[_Operation] = []
        self._made: dict[int, StorageWeakRef] = {}  # by address

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name
        assert name not in SYNCS, f"{func} waits for the device"
        assert name not in FROM_HOST, f"{func} copies from the host"
        given = _flat((*args, *(kwargs or {}).values()))
        self.operations.append((func, [self._told(value) for value in given]))
        before = {_address(value) for value in given if isinstance(value, Tensor)}
        out = func(*args, **(kwargs or {}))
        for value in _flat((out,)):
            if isinstance(value, Tensor) and _address(value) not in before:
                self._made[_address(value)] = _weak(value)
        return out

    def _told(self, value: object) -> object:
        if not isinstance(value, Tensor):
            return value
        place = "made in the half" if _address(value) in self._made else value.data_ptr()
        return place, value.shape, value.stride(), value.dtype

    def all_gone(self) -> bool:
        return all(storage.expired() for storage in self._made.values())  # type: ignore[no-untyped-call]  # untyped


def _flat(values: Iterable[object]) -> list[object]:
    """Arguments one by one; an operation's are at most lists of tensors or numbers."""
    return [part for value in values for part in (value if isinstance(value, list | tuple) else (value,))]


def _weak(tensor: Tensor) -> StorageWeakRef:
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]  # untyped


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


class FakeGraphs:
    """Counts captures and replays, and holds the latter to the rules."""

    def __init__(self, dry_runs: int = 0) -> None:
        self.captures = 0
        self.replays = 0
        self._dry_runs = dry_runs

    def capture(self, half: Callable[[], None], reset: Callable[[], None]) -> Callable[[], None]:
        self.captures += 1
        for _ in range(self._dry_runs):
            half()
            reset()
        recorded: list[_Operation] = []

        def replay() -> None:
            self.replays += 1
            with _Replay() as now:
                half()
            assert now.all_gone(), "a tensor made in a half outlives it"
            if not recorded:
                recorded.extend(now.operations)
            if recorded != now.operations:
                old, new = next(pair for pair in zip_longest(recorded, now.operations) if pair[0] != pair[1])
                raise AssertionError(f"recorded was {old}, and this is {new}")

        return replay


def use_graphs(monkeypatch: pytest.MonkeyPatch, tts: Dia2, backend: FakeGraphs) -> StatePool:
    """Let an engine on a CPU keep states and "graphs" for runs with `use_cuda_graph`."""
    pool = StatePool(lambda: backend)
    monkeypatch.setattr(tts.runtime, "pool", pool)
    return pool


def use_dia_graphs(monkeypatch: pytest.MonkeyPatch, dia: Dia, make: Callable[[], FakeGraphs]) -> Pool[PooledState]:
    """The same for Dia; `make` gives the backend of each state."""
    pool = Pool[PooledState](STATES)
    monkeypatch.setattr(dia, "backend", make)
    monkeypatch.setattr(dia, "_pool", pool)
    return pool
