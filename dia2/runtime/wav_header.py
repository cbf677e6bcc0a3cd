"""WAV files whose header was written before their length was known: to a pipe, or by a recorder that was cut off."""

from __future__ import annotations

import io
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_ORDERS = {b"RIFF": "<", b"RF64": "<", b"BW64": "<", b"RIFX": ">"}  # byte order by the file's first four bytes
_UNKNOWN = 0xFFFFFFFF  # as a size: see the chunk ds64 of RF64, or unknown
_MOST_CHUNKS = 4096
_LONGEST_FORMAT = 256  # bytes of a chunk "fmt ", of which extensible PCM has 40 and ADPCM 50
_MOST_DATA = _UNKNOWN - 4096  # bytes that a plain header can tell; hours of any usual sound
_MPEG = 0x0050, 0x0055  # format tags of MPEG audio in a WAV


@dataclass(frozen=True)
class WavData:
    """Where the samples of a WAV file stand."""

    order: str  # byte order, as struct writes it
    format: bytes  # content of its chunk "fmt "
    start: int  # byte at which the samples begin
    claimed: int  # bytes of samples that the header tells
    left: int  # bytes from `start` to the end of the file

    @property
    def is_mpeg(self) -> bool:
        """It holds MPEG audio."""
        return struct.unpack(f"{self.order}H", self.format[:2])[0] in _MPEG


def find_data(file: BinaryIO) -> WavData | None:
    """Look for the samples of a WAV file; `None` if this is not one, or too damaged to tell.

    Args:
        file: open for reading. No size in it is trusted: chunks are hopped over, never read.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    order = _ORDERS.get(head[:4])
    if order is None or head[8:] != b"WAVE":
        return None
    at, layout, long = 12, b"", 0
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        chunk = file.read(8)
        if len(chunk) < 8:
            return None
        name, (length,) = chunk[:4], struct.unpack(f"{order}I", chunk[4:])
        at += 8
        if name == b"data":
            if len(layout) < 16:
                return None
            claimed = long if head[:4] in (b"RF64", b"BW64") and length == _UNKNOWN else length
            return WavData(order, layout, at, claimed, size - at)
        if name == b"fmt ":
            layout = file.read(min(length, _LONGEST_FORMAT))
        elif name == b"ds64" and len(sizes := file.read(16)) == 16:
            (long,) = struct.unpack(f"{order}8xQ", sizes)
        at = _after(file, at + length) if length % 2 else at + length
    return None


def _after(file: BinaryIO, end: int) -> int:
    """Where the next chunk begins after one that ends at an odd `end`: a byte of padding on, which some leave out."""
    file.seek(end)
    return end if file.read(4) == b"data" else end + 1


def mended(path: Path) -> io.RawIOBase | None:
    """The WAV file at `path` with a header that tells its true length; `None` if it needs no mending, or is no WAV.

    A length of 0, of 0xFFFFFFFF or past the end of the file means "to the end of the file".

    Raises:
        OSError: as reading does.
    """
    with path.open("rb") as file:
        found = find_data(file)
        if found is None or 0 < found.claimed <= found.left or not found.left:
            return None
        if found.claimed == 0 and _are_chunks(file, found):
            return None  # a file of no samples, and what was written after them
    return _Mended(path, found)


def _are_chunks(file: BinaryIO, found: WavData) -> bool:
    """What stands where samples would be is a row of chunks up to the very end of the file."""
    at, end = found.start, found.start + found.left
    for _ in range(_MOST_CHUNKS):
        if at == end:
            return True
        file.seek(at)
        name, length = file.read(4), file.read(4)
        if len(length) < 4 or not name.isascii() or not name.decode().isprintable():
            return False
        at += 8 + struct.unpack(f"{found.order}I", length)[0]
        if at > end:
            return False
        at = min(at + at % 2, end)
    return False


class _Mended(io.RawIOBase):
    """A small header of ours, then the samples as the file has them; nothing is copied."""

    def __init__(self, path: Path, found: WavData) -> None:
        data = min(found.left, _MOST_DATA)
        layout = found.format + b"\0" * (len(found.format) % 2)
        name = b"RIFF" if found.order == "<" else b"RIFX"
        sizes = f"{found.order}4sI"
        body = b"WAVE" + struct.pack(sizes, b"fmt ", len(found.format)) + layout + struct.pack(sizes, b"data", data)
        self._head = struct.pack(sizes, name, len(body) + data) + body
        self._start, self._size, self._at = found.start, len(self._head) + data, 0
        self._file = path.open("rb")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill `buffer`. Where the disk fails the file ends: an exception would not get through libsndfile."""
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), max(0, self._size - self._at))
        part = self._head[self._at : self._at + wanted]
        try:
            self._file.seek(self._start + max(0, self._at - len(self._head)))
            part += self._file.read(wanted - len(part))
        except OSError:
            pass
        view[: len(part)] = part
        self._at += len(part)
        return len(part)

    def close(self) -> None:
        self._file.close()
        super().close()
