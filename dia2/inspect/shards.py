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

from dia2.checks import is_file, short
from dia2.errors import TraceError, one_line
from dia2.inspect.layout import (
    DRAW_COLUMNS,
    LAYOUT,
    MAX_CALLS,
    MAX_HEADER,
    MAX_SHARD_CALLS,
    MAX_SHARDS,
    Column,
    Layout,
    shard_name,
)
from dia2.inspect.manifest import ModelFacts
from dia2.rust import RustPanicError, calling_rust

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
        raise TraceError(f"{path} is damaged: its header is no object.")
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


def sizes_of(model: ModelFacts, draws: int) -> dict[str, int]:
    """What the letters of `layout.COLUMNS` stand for."""
    return {
        "K": model.codebooks,
        "K-1": model.codebooks - 1,
        "D": draws,
        "B": model.branches,
        "actions": model.actions,
        "vocabulary": model.audio_vocabulary,
        "codes": model.codes,
    }


def open_shards(path: Path, layout: Layout, sizes: Mapping[str, int]) -> list[Shard]:
    """All shards in order, up to the first number that is not there.

    Raises:
        TraceError: one is damaged, or there are more calls than a run can have.
    """
    shards: list[Shard] = []
    calls = ragged = 0
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
        ragged += shard.ragged
        if ragged > _MAX_RAGGED:
            raise TraceError(f"{path} has more than {_MAX_RAGGED:,} pending tokens: the trace is damaged.")
        shards.append(shard)
    return shards


def read_tokens(shards: list[Shard], model: ModelFacts, path: Path) -> Arrays:
    """The `tokens` columns of all shards, joined and checked value by value.

    Raises:
        TraceError: a value lies outside of what the checkpoint knows, or calls are missing.
    """
    joined = joined_tokens(shards, LAYOUT, sizes_of(model, 0), path)
    _check_values(joined, model, path)
    return joined


def joined_tokens(shards: list[Shard], layout: Layout, sizes: Mapping[str, int], path: Path) -> Arrays:
    """The `tokens` columns of all shards, joined; their values are still to be checked.

    Raises:
        TraceError: a shard is damaged.
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
    return joined


def _empty(column: Column, sizes: Mapping[str, int]) -> np.ndarray:
    """A column of a trace without calls."""
    dtype = {"I32": np.int32, "U8": np.uint8, "F32": np.float32}[column.dtype]
    return np.zeros((0, *tail(column.shape, sizes)), dtype=np.int64 if column.name.endswith("_end") else dtype)


def _check_ends(ends: np.ndarray, total: int, path: Path) -> None:
    if len(ends) and (ends[0] < 0 or (np.diff(ends.astype(np.int64)) < 0).any() or ends[-1] != total):
        raise TraceError(f"{path} is damaged: its pending or lookahead tokens do not add up.")


def check_bounds(columns: Arrays, bounds: Mapping[str, tuple[int, int]], path: Path) -> None:
    """Refuse columns with a value below the least or above the most.

    Raises:
        TraceError: names the column.
    """
    for name, (least, most) in bounds.items():
        column = columns[name]
        if column.size and (column.min() < least or column.max() > most):
            raise TraceError(f"{path} is damaged: a value in column {name} is outside {least} … {most}.")


def _check_values(columns: Arrays, model: ModelFacts, path: Path) -> None:
    count = len(columns["call"])
    main = columns["phase"] == 1
    first_main = int(np.argmax(main)) if main.any() else count
    bounds: dict[str, tuple[int, int]] = {
        "phase": (0, 1),
        "position": (0, MAX_CALLS),
        "slot": (0, MAX_CALLS),
        "text": (-1, model.text_vocabulary - 1),
        "audio": (-1, model.audio_vocabulary - 1),
        "codes": (-1, model.audio_vocabulary - 1),
        "action": (-1, max(model.actions, model.text_vocabulary) - 1),
        "forced": (0, 1),
        "emitted": (-1, model.text_vocabulary - 1),
        "consumed": (0, 1),
        "padding_budget": (0, MAX_CALLS),
        "forced_padding": (0, MAX_CALLS),
        "entries_left": (0, MAX_CALLS),
        "end_step": (-1, MAX_CALLS),
        "pending": (-1, model.text_vocabulary - 1),
        "lookahead": (-1, model.text_vocabulary - 1),
    }
    check_bounds(columns, bounds, path)
    steps = columns["step"].astype(np.int64)
    in_order = (
        (columns["call"] == np.arange(count)).all()
        and main[first_main:].all()
        and (steps[:first_main] == np.arange(first_main)).all()
        and (steps[first_main:] == max(0, first_main - 1) + np.arange(count - first_main)).all()
    )
    if not in_order:
        raise TraceError(f"{path} is damaged: its calls are not in order.")
