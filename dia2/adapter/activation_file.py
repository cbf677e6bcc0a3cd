"""Files of activations: safetensors that are filled chunk by chunk and mapped when they are read, and Parquet."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dia2.common.errors import CheckpointError, Dia2Error, UsageError
from dia2.common.files import check_writable, replacing
from dia2.common.tensor_file import StoredTensors
from dia2.inspect.trace.tables import arrow

Shapes = Mapping[str, tuple[int, ...]]
Sink = Callable[[int, Mapping[str, np.ndarray]], None]  # row of the first call, and by point [n, B, …] float32

_FORMAT = "dia2activations"
_CALLS = "calls"


@contextmanager
def written_file(path: Path, calls: Sequence[int], shapes: Shapes, about: Mapping[str, str]) -> Iterator[Sink]:
    """A file of this block, which is there when the block ends well and not at all when it does not.

    Args:
        path: `.safetensors` or `.parquet`.
        calls: of its rows.
        shapes: by point, the calls first.
        about: `weights`, the checkpoint's, and `read` of `Activations`.

    Raises:
        UsageError: another kind of file, or none can be there.
        Dia2Error: the disk is full, or pyarrow is missing.
    """
    kinds: dict[str, Any] = {".safetensors": _safetensors, ".parquet": _parquet}
    if path.suffix not in kinds:
        raise UsageError(f"Activations are written as .safetensors or .parquet, not to {path}: name such a file.")
    check_writable(path)
    try:
        with replacing(path) as temporary, kinds[path.suffix](temporary, calls, shapes, about) as sink:
            yield sink
    except OSError as error:
        why = error.strerror or str(error)
        raise Dia2Error(f"{path} could not be written ({why}): free some space or write elsewhere.") from error


@contextmanager
def _safetensors(path: Path, calls: Sequence[int], shapes: Shapes, about: Mapping[str, str]) -> Iterator[Sink]:
    stored = {_CALLS: ("I32", (len(calls),)), **{name: ("F32", shape) for name, shape in shapes.items()}}
    entries: dict[str, Any] = {"__metadata__": {"format": _FORMAT, **about}}
    begins, end = {}, 0
    for name, (dtype, shape) in stored.items():
        begins[name], end = end, end + 4 * int(np.prod(shape))
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begins[name], end]}
    header = json.dumps(entries).encode()
    header += b" " * (-len(header) % 8)  # the format wants its tensors aligned
    start = 8 + len(header)
    with path.open("xb") as file:
        file.write(len(header).to_bytes(8, "little") + header + np.array(calls, "<i4").tobytes())

        def sink(first: int, values: Mapping[str, np.ndarray]) -> None:
            for name, part in values.items():
                file.seek(start + begins[name] + 4 * first * int(np.prod(part.shape[1:])))
                file.write(np.ascontiguousarray(part, "<f4").data)

        yield sink
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _parquet(path: Path, calls: Sequence[int], shapes: Shapes, about: Mapping[str, str]) -> Iterator[Sink]:
    pa = arrow()
    from pyarrow import parquet

    kinds = {name: pa.list_(pa.float32(), int(np.prod(shape[2:]))) for name, shape in shapes.items()}
    told = {**about, **{f"{name}.shape": json.dumps(shape[2:]) for name, shape in shapes.items()}}
    schema = pa.schema({"call": pa.int32(), "branch": pa.int8(), **kinds}, metadata=told)
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:

        def sink(first: int, values: Mapping[str, np.ndarray]) -> None:
            count, branches = next(iter(values.values())).shape[:2]
            columns = [
                pa.array(np.repeat(np.array(calls[first : first + count], np.int32), branches)),
                pa.array(np.tile(np.arange(branches, dtype=np.int8), count)),
            ]
            for name, part in values.items():
                flat = pa.array(np.ascontiguousarray(part).reshape(-1))
                columns.append(pa.FixedSizeListArray.from_arrays(flat, type=kinds[name]))
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))

        yield sink


def read_file(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, str]]:
    """The calls, the activations by point, mapped, and what else the file says of itself.

    Raises:
        UsageError: there is no such file, or it is none of activations.
    """
    wrong = UsageError(f"{path} holds no activations: give a file that activations(…, into=…) wrote.")
    try:
        with StoredTensors(path) as stored:
            entries = stored.entries
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    except (CheckpointError, OSError, ValueError) as error:
        raise wrong from error
    about = header.get("__metadata__") or {}
    calls = entries.pop(_CALLS, None)
    ours = about.get("format") == _FORMAT and {"weights", "read"} <= about.keys()
    if not ours or calls is None or calls.dtype != "I32" or len(calls.shape) != 1:
        raise wrong
    if any(
        entry.dtype != "F32" or entry.shape[:1] != calls.shape or len(entry.shape) < 3 for entry in entries.values()
    ):
        raise wrong
    arrays = {
        name: np.memmap(path, "<f4", "r", offset=entry.begin, shape=entry.shape) for name, entry in entries.items()
    }
    return np.fromfile(path, "<i4", calls.shape[0], offset=calls.begin), dict(arrays), about
