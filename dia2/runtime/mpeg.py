"""MPEG audio (MP3), decoded in a process of its own.

Its decoder, libmpg123, writes what it dislikes of a file to descriptor 2 by itself, and libsndfile has no way to
silence it. Turning the descriptor elsewhere would hit every thread of this process; a child has one of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from dia2.runtime.sound_source import Source
from dia2.runtime.wav_header import find_data

_PATIENCE = 60.0  # seconds; a decoder that takes longer is stopped, two minutes of MP3 take less than one
_LINE = 500  # bytes of its first line


def is_mpeg(path: Path) -> bool:
    """Libsndfile would ask libmpg123 about this file: by its first bytes, by its name, or as what a WAV holds."""
    with path.open("rb") as file:
        head = file.read(3)
        if head == b"ID3" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0") or path.suffix.lower() == ".mp3":
            return True
        found = find_data(file)
    return found is not None and found.is_mpeg


@contextmanager
def decoding(path: Path, seconds: float) -> Iterator[Source]:
    """The first `seconds` of the MPEG file at `path` and a sample more, while they are decoded.

    Raises:
        OSError: it cannot be read, or no process can be started.
    """
    script = Path(__file__).with_name("mpeg_child.py")
    places = os.pathsep.join(place for place in sys.path if place)  # where this process finds soundfile
    with subprocess.Popen(  # noqa: S603  # this interpreter, and a file of ours
        [sys.executable, "-P", str(script), str(path), str(seconds)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": places},
    ) as child:
        watch = threading.Timer(_PATIENCE, child.kill)
        watch.start()
        try:
            assert child.stdout is not None, "a pipe"
            yield _source(child.stdout, path)
        finally:
            watch.cancel()
            child.kill()


def _source(pipe: IO[bytes], path: Path) -> Source:
    line = pipe.readline(_LINE).decode(errors="replace")
    numbers = line.split()
    if line.startswith("! "):
        raise OSError(line[2:].strip())
    if len(numbers) != 3 or not all(number.isdecimal() for number in numbers):
        raise OSError("its decoder ended without an error message")
    rate, channels, frames = map(int, numbers)  # of a child of ours

    def read(count: int) -> np.ndarray:
        part = pipe.read(count * channels * 4)
        whole = len(part) // (channels * 4)
        return np.frombuffer(part, np.float32, whole * channels).reshape(whole, channels)

    return Source(rate, channels, read, promised=frames if _tells_its_length(path) else None)


def _tells_its_length(path: Path) -> bool:
    """Its first frame says how many there are; of others a length is only guessed."""
    with path.open("rb") as file:
        head = file.read(10)
        tag = 0
        if head[:3] == b"ID3" and len(head) == 10:
            tag = 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])
        file.seek(tag)
        first = file.read(64)
    return any(name in first for name in (b"Xing", b"Info", b"VBRI"))
