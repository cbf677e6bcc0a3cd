"""Reading shards: header first, every dtype and size checked before a byte of data is touched."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from dia2.common.checks import is_file, short
from dia2.common.errors import TraceError, one_line
from dia2.common.rust import RustPanicError, calling_rust
from dia2.inspect.schema.column import DRAW_COLUMNS, Column, Layout
from dia2.inspect.store.layout import MAX_CALLS, MAX_CELLS, MAX_HEADER, MAX_SHARD_CALLS, MAX_SHARDS, shard_name

_DRAW_COLUMNS = {column.name for column in DRAW_COLUMNS}
_MAX_RAGGED = 1 << 24  # tokens pending or looked ahead to, over all calls of a trace
_MAX_BYTES = 256 << 20  # of a shard; one of a published checkpoint with all logits has a third of that
_BYTES = {"I32": 4, "F32": 4, "I16": 2, "U8": 1}
Arrays = dict[str, np.ndarray]


class Shard:
    """One file of calls: which columns it has, and where its calls stand."""

    def __init__(self, path: Path, first_call: int, layout: Layout, sizes: Mapping[str, int]) -> None:
        """Check the header.

        Args:
            path: of the file.
            first_call: number of its first call.
            layout: the columns it may have.
            sizes: what the letters in their shapes stand for.

        Raises:
            TraceError: it is damaged.
        """
        self.path, self.first_call = path, first_call
        self.columns, size = _header(path)
        call = self.columns.get("call", ("", []))[1]
        if len(call) != 1 or not 0 < call[0] <= MAX_SHARD_CALLS:
            raise TraceError(f"{path} is damaged: it holds {short(call)} calls.")
        self.calls: int = call[0]
        for name, (dtype, shape) in self.columns.items():
            if name in layout.ragged:
                ok = dtype == "I32" and len(shape) == 1 and shape[0] <= _MAX_RAGGED
            else:
                known = layout.columns.get(name)
                wanted = None if known is None else [self.calls, *tail(known.shape, sizes)]
                dtypes = () if known is None else (known.dtype, "I16") if name in layout.small else (known.dtype,)
                ok = known is not None and dtype in dtypes and shape == wanted
            if not ok:
                raise TraceError(f"{path} is damaged: column {short(name)} is {short(dtype)} {short(shape)}.")
        missing = [name for name in layout.of_level("tokens") if name not in self.columns]
        if missing:
            raise TraceError(f"{path} is damaged: it has no column {missing[0]}.")
        if 0 < len(_DRAW_COLUMNS & set(self.columns)) < len(_DRAW_COLUMNS):
            raise TraceError(f"{path} is damaged: it has some of the columns draw.* only.")
        if size > _MAX_BYTES or size != sum(_BYTES[dtype] * math.prod(shape) for dtype, shape in self.columns.values()):
            raise TraceError(f"{path} is damaged: its columns and its {size:,} bytes do not go together.")
        self.ragged = sum(self.columns[name][1][0] for name in layout.ragged)

    def read(self, names: Iterable[str]) -> Arrays:
        """Columns as arrays, small integers widened.

        Raises:
            TraceError: the file is damaged.
        """
        try:
            with calling_rust(), safe_open(self.path, framework="np") as file:
                arrays = {name: file.get_tensor(name) for name in names}
        except (OSError, SafetensorError, RustPanicError, ValueError, TypeError, KeyError) as error:
            raise TraceError(f"{self.path} cannot be read ({one_line(error)}): the trace is damaged.") from error
        return {name: array.astype(np.int32) if array.dtype == np.int16 else array for name, array in arrays.items()}


def _header(path: Path) -> tuple[dict[str, tuple[str, list[int]]], int]:
    """Dtype and shape of each tensor in a safetensors file, and the number of bytes after them."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(MAX_HEADER, size):
                raise TraceError(f"{path} is damaged: its header claims {short(length)} bytes.")
            raw = json.loads(file.read(length))
    except (OSError, ValueError, RecursionError, struct.error) as error:
        raise TraceError(f"{path} cannot be read ({one_line(error)}): the trace is damaged.") from error
    if not isinstance(raw, Mapping):
        raise TraceError(f"{path} is damaged: its header is not an object.")
    found = {}
    for name, value in raw.items():
        if name == "__metadata__":
            continue
        dtype, shape = (value.get("dtype"), value.get("shape")) if isinstance(value, Mapping) else (None, None)
        if not isinstance(dtype, str) or not isinstance(shape, list) or not all(_is_size(part) for part in shape):
            raise TraceError(f"{path} is damaged: column {short(name)} has no type and shape.")
        found[name] = dtype, shape
    return found, size - 8 - length


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 40


def tail(shape: Sequence[str], sizes: Mapping[str, int]) -> list[int]:
    """Sizes of a column but for its first dimension: a number stands for itself, a letter for what `sizes` says."""
    return [int(part) if part.isdigit() else sizes[part] for part in shape[1:]]


def open_shards(path: Path, layout: Layout, sizes: Mapping[str, int]) -> list[Shard]:
    """All shards in order, up to the first number that is not there.

    Raises:
        TraceError: one is damaged, or there are more calls than a run can have.
    """
    shards: list[Shard] = []
    calls = ragged = 0
    columns = (layout.columns[name] for name in layout.of_level("tokens") if name not in layout.ragged)
    widest = max(math.prod(tail(column.shape, sizes)) for column in columns)  # codes of a call
    for index in range(MAX_SHARDS):
        file = path / shard_name(index)
        if file.is_symlink():
            raise TraceError(f"{file} is a link: a trace holds its own files only.")
        if not is_file(file):
            break
        shard = Shard(file, calls, layout, sizes)
        calls += shard.calls
        if calls > MAX_CALLS:
            raise TraceError(f"{path} has more than {MAX_CALLS:,} calls, which no run makes: the trace is damaged.")
        if calls * widest > MAX_CELLS:
            raise TraceError(f"{path} has more than {MAX_CELLS:,} codes, which no run writes: it is damaged.")
        ragged += shard.ragged
        if ragged > _MAX_RAGGED:
            raise TraceError(f"{path} has more than {_MAX_RAGGED:,} pending tokens: the trace is damaged.")
        shards.append(shard)
    return shards


def read_tokens(shards: list[Shard], layout: Layout, sizes: Mapping[str, int], path: Path) -> Arrays:
    """The `tokens` columns of all shards, joined, each value within its column's bounds.

    Raises:
        TraceError: a shard is damaged, or a value lies outside of what the checkpoint knows.
    """
    names = layout.of_level("tokens")
    parts = [shard.read(names) for shard in shards]
    joined: Arrays = {}
    for name in names:
        ragged = name.removesuffix("_end")
        if name != ragged and ragged in layout.ragged:
            offsets = np.cumsum([0, *(len(part[ragged]) for part in parts)])[:-1]
            for part in parts:
                _check_ends(part[name], len(part[ragged]), path)
            pieces = [part[name].astype(np.int64) + offset for part, offset in zip(parts, offsets, strict=True)]
        else:
            pieces = [part[name] for part in parts]
        joined[name] = np.concatenate(pieces) if pieces else _empty(layout.columns[name], sizes)
        _check_bounds(layout.columns[name], joined[name], sizes, path)
    _check_order(joined, path)
    return joined


def _empty(column: Column, sizes: Mapping[str, int]) -> np.ndarray:
    """A column of a trace without calls."""
    dtype = {"I32": np.int32, "U8": np.uint8, "F32": np.float32}[column.dtype]
    return np.zeros((0, *tail(column.shape, sizes)), dtype=np.int64 if column.name.endswith("_end") else dtype)


def _check_ends(ends: np.ndarray, total: int, path: Path) -> None:
    if len(ends) and (ends[0] < 0 or (np.diff(ends.astype(np.int64)) < 0).any() or ends[-1] != total):
        raise TraceError(f"{path} is damaged: its pending or lookahead tokens do not add up.")


def _check_bounds(column: Column, values: np.ndarray, sizes: Mapping[str, int], path: Path) -> None:
    if column.bounds is None or not values.size:
        return
    least, below = column.bounds
    below = sizes[below] if isinstance(below, str) else below
    if column.is_time:
        if not (np.isnan(values) | ((values >= least) & (values <= below))).all():
            raise TraceError(f"{path} is damaged: a value in column {column.name} is not a time.")
    elif values.min() < least or values.max() >= below:
        raise TraceError(f"{path} is damaged: a value in column {column.name} is outside {least} … {below - 1}.")


def _check_order(columns: Arrays, path: Path) -> None:
    """Refuse calls that are not counted from 0, and calls that draw nothing behind one that draws."""
    drawn = np.flatnonzero(columns["phase"])
    first = int(drawn[0]) if len(drawn) else 0
    if (columns["call"] != np.arange(len(columns["call"]))).any() or (
        len(drawn) and not columns["phase"][first:].all()
    ):
        raise out_of_order(path)


def out_of_order(path: Path) -> TraceError:
    """The error for calls that no run makes in this order."""
    return TraceError(f"{path} is damaged: its calls are not in order.")
