"""A safetensors file's tensors, read through a small window into tensors that are there already."""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Iterable
from operator import index
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from dia2.common.checks import TooLargeError, check_header, short
from dia2.common.errors import CheckpointError, one_line
from dia2.common.rust import RustPanicError, calling_rust

WINDOW = 1 << 24  # bytes of the file that are mapped at a time: much less costs time, and all of it counts as memory
FLOATS = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


class Entry(NamedTuple):
    """What a header says of one tensor."""

    dtype: str  # safetensors' name of it, such as BF16
    shape: tuple[int, ...]
    begin: int  # byte of the file
    end: int


class StoredTensors:
    """The tensors of one file, for a `with` block.

    Mapped pages count as memory of this process, so no more than `WINDOW` bytes are mapped at a time. A map needs no
    copy of the file's bytes, which reading does: converting float32 to bfloat16 takes three quarters of the time.
    """

    def __init__(self, path: str | Path) -> None:
        """Open the file and read its header.

        Raises:
            CheckpointError: there is no such file, or it is no whole safetensors file.
        """
        self.path = Path(path)
        try:
            check_header(self.path)
            with calling_rust(), safe_open(self.path, framework="pt"):
                pass  # judges the header: its size, its types, that the tensors fill the file without gap or overlap
            self._file = self.path.open("rb", buffering=0)
        except FileNotFoundError as error:
            raise CheckpointError(
                f"There is no weights file {self.path}: give the path of a safetensors file."
            ) from error
        except (SafetensorError, RustPanicError, TooLargeError, OSError) as error:
            raise CheckpointError(
                f"{self.path} is not a whole safetensors file ({one_line(error)}): download it again."
            ) from error
        try:
            self.entries = _read_header(self._file.fileno())
        except (OSError, ValueError, RecursionError) as error:
            self._file.close()
            raise CheckpointError(f"{self.path} changed while it was opened: try again.") from error
        self._staging: _Staging | None = None

    def __enter__(self) -> StoredTensors:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._staging is not None:
            self._staging.wait()
        self._file.close()

    def in_file_order(self, names: Iterable[str]) -> list[str]:
        """`names`, in the order in which a disk reads them fastest."""
        return sorted(names, key=lambda name: self.entries[name].begin)

    def copy(self, name: str, target: Tensor) -> None:
        """Copy a stored tensor into `target`, converting it to its dtype.

        Args:
            name: of a float tensor in the file.
            target: of the stored shape, on any device; may be a view of a larger tensor.

        Raises:
            CheckpointError: the file cannot be read any more, or has no such tensor.
        """
        entry = self.entries.get(name)
        if entry is None or entry.dtype not in FLOATS or entry.shape != tuple(target.shape):
            raise CheckpointError(f"{self.path} has no tensor {short(name)} of shape {list(target.shape)}.")
        # Whatever the header said, no more is read than the target takes.
        try:
            self._rows(target if target.ndim else target[None], FLOATS[entry.dtype], entry.begin)
        except (OSError, ValueError) as error:  # ValueError: the file has become shorter
            raise CheckpointError(
                f"Tensor {name} of {self.path} cannot be read ({one_line(error)}): download the file again."
            ) from error

    def _rows(self, target: Tensor, dtype: torch.dtype, begin: int) -> None:
        """Copy what lies at byte `begin`, as many rows of `target` [rows, …] at a time as the window holds."""
        row = target[:1].numel() * dtype.itemsize
        if row > WINDOW and target.ndim > 1:
            for n, part in enumerate(target):
                self._rows(part, dtype, begin + n * row)
            return
        rows = max(1, WINDOW // max(1, row))
        for first in range(0, target.shape[0] if row else 0, rows):
            self._through_window(target[first : first + rows], dtype, begin + first * row)

    def _through_window(self, target: Tensor, dtype: torch.dtype, begin: int) -> None:
        """Copy what lies at byte `begin` into the whole of `target`; the map is gone on return."""
        size = target.numel() * dtype.itemsize
        _announce(self._file.fileno(), begin + size)
        first = begin - begin % mmap.ALLOCATIONGRANULARITY
        # Copy on write, and never written: torch warns of memory that it may not write to.
        view = mmap.mmap(self._file.fileno(), begin - first + size, access=mmap.ACCESS_COPY, offset=first)
        source = torch.frombuffer(view, dtype=dtype, count=target.numel(), offset=begin - first).view(target.shape)
        if target.is_cuda:
            self._staging = self._staging or _Staging(target.device)
            self._staging.send(source, target)
        else:
            target.copy_(source)


class _Staging:
    """Two pinned buffers, taken in turn: while one travels to the device, the next is filled."""

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.current_stream(device)
        self._buffers = [torch.empty(WINDOW, dtype=torch.uint8).pin_memory() for _ in range(2)]
        self._sent = [torch.cuda.Event() for _ in range(2)]  # type: ignore[no-untyped-call]  # torch has no type for it
        self._turn = 0

    def send(self, source: Tensor, target: Tensor) -> None:
        """Copy `source`, at most `WINDOW` bytes on the host, into `target`; converted there, which costs no time."""
        self._turn ^= 1
        sent = self._sent[self._turn]
        sent.synchronize()
        staged = self._buffers[self._turn][: source.nbytes].view(source.dtype).view(source.shape)
        staged.copy_(source)
        target.copy_(staged.to(target.device, non_blocking=True))
        sent.record(self._stream)

    def wait(self) -> None:
        """Return when all has arrived."""
        for sent in self._sent:
            sent.synchronize()


def _announce(file: int, begin: int) -> None:
    """Let the system read the next window from the disk while this one is converted; a map alone reads 128 KB ahead."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file, begin, WINDOW, os.POSIX_FADV_WILLNEED)


def _read_header(file: int) -> dict[str, Entry]:
    """All entries of a header that safetensors has accepted: 8 bytes of its length, JSON, and the tensors' bytes.

    Raises:
        ValueError: it is none, so the file is not the one that was accepted.
    """
    whole = os.fstat(file).st_size
    with os.fdopen(os.dup(file), "rb") as reader:
        reader.seek(0)
        length = int.from_bytes(reader.read(8), "little")
        header = json.loads(reader.read(min(length, whole)))
    try:
        header.pop("__metadata__", None)
        entries = {
            name: Entry(
                str(entry["dtype"]), tuple(entry["shape"]), *(8 + length + index(at) for at in entry["data_offsets"])
            )
            for name, entry in header.items()
        }
        if not all(8 + length <= entry.begin <= entry.end <= whole for entry in entries.values()):
            raise ValueError("a tensor lies outside the file")
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("not a header") from error
    return entries
