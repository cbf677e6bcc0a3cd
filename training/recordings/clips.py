"""A recording with what is said in it, wherever both lie, and what can be wrong with them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SOUNDS = (".wav", ".flac", ".ogg", ".mp3")


@dataclass(frozen=True)
class Fault:
    """Something that cannot be used."""

    name: str  # of the recording or file, and the line
    what: str  # is wrong, and what to do; no sentence of its own: the name comes before it


@dataclass(frozen=True)
class Clip:
    """One recording, whose words may be known."""

    name: str  # the same in every run: its path within the folder, and where in the file it is
    sound: Path | Callable[[], bytes]  # a file, or what reads one that lies in a table
    transcript: str = ""  # where the words come from, for errors; empty: nothing is known of them
    text: str | None = None  # a script
    times: Path | None = None  # a JSON file of words with times
    offset: float = 0.0  # seconds at which it begins in its file
    duration: float | None = None  # seconds; `None`: to the end


@contextmanager
def sound_file(clip: Clip) -> Iterator[Path]:
    """A file with the sound of a clip's file: itself, or a temporary one; a part of it is not cut out."""
    if isinstance(clip.sound, Path):
        yield clip.sound
        return
    with tempfile.TemporaryDirectory(prefix="dia2-") as folder:
        path = Path(folder) / "recording"
        path.write_bytes(clip.sound())
        yield path
