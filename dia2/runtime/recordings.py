"""Recordings read lately: their codes and what Whisper heard, so that a voice used again costs neither again."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from dia2.common.checks import is_file
from dia2.runtime.audio_io import read_sound, require_audio
from dia2.runtime.lru_cache import LRUCache
from dia2.runtime.words import Word

MOST_RECORDINGS = 4
MOST_BYTES = 64 << 20  # of samples; the longest recording there may be has 12 MB, its codes a thirtieth of that

Stamp = tuple[str, int, int, int, int]


@dataclass
class Recording:
    """One sound file, and what was worked out of it so far."""

    samples: Tensor  # [N] float32 at the codec's rate
    clipped: Tensor  # [n] seconds, see `Sound`
    codes: Tensor | None = None  # [K, T] int64
    heard: dict[Hashable, list[Word]] = field(default_factory=dict)  # by Whisper's checkpoint


class Recordings(LRUCache[Stamp, Recording]):
    """The last four recordings, as long as their files are not changed. They go with the loaded checkpoint."""

    def __init__(self) -> None:
        super().__init__(most=MOST_RECORDINGS, most_bytes=MOST_BYTES)

    def read(self, source: str | Path, sample_rate: int) -> Recording:
        """The recording in file `source` at `sample_rate` Hz, from before if the file is the same.

        Raises:
            UsageError: as `read_sound`.
        """
        require_audio(source)
        stamp = file_stamp(source)
        found = self.get(stamp)
        if found is None:
            sound = read_sound(source, sample_rate)
            found = recording = Recording(sound.samples, sound.clipped)
            if file_stamp(source) == stamp:  # else it was written to while it was read
                self.keep(stamp, recording.samples.nbytes, lambda: recording)
        return found


def file_stamp(path: str | Path) -> Stamp:
    """Changes with a file: where it lies, its size, its times, and which file it is.

    Size and time of writing alone would not tell two recordings of one length apart when a copy keeps the times.
    """
    place = Path(path).resolve()
    facts = place.stat()
    return str(place), facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino


def whisper_key(name: str) -> Hashable:
    """What tells Whisper checkpoints apart: a published name, or the file that a path names."""
    return file_stamp(name) if is_file(name) else name
