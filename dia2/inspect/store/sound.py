"""Sounds of a trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dia2.common.checks import is_file
from dia2.common.errors import TraceError, one_line
from dia2.common.wording import counted
from dia2.inspect.store.layout import AUDIO_FILE, MAX_AUDIO, MAX_AUDIO_SAMPLES

if TYPE_CHECKING:
    import soundfile


def read_audio(path: Path, name: str = AUDIO_FILE) -> tuple[np.ndarray, int]:
    """(waveform [N] float32, sample rate) in the file `name` of the trace at `path`.

    Raises:
        TraceError: the file is missing or damaged.
    """
    with _opened(path / name) as sound:
        return sound.read(dtype="float32"), int(sound.samplerate)


def read_exactly(path: Path, name: str, samples: int, rate: int) -> np.ndarray:
    """[samples] int16 in the file `name`, which has to hold so many at that rate.

    Raises:
        TraceError: the file is missing or damaged, or holds something else.
    """
    with _opened(path / name) as sound:
        if (sound.frames, sound.samplerate) != (samples, rate):
            is_there = f"{counted(sound.frames, 'sample')} at {sound.samplerate:,} Hz"
            raise TraceError(f"{path / name} holds {is_there}, not {samples:,} at {rate:,}: the trace is damaged.")
        found: np.ndarray = sound.read(dtype="int16")  # which fails where there are fewer than the header says
        return found


@contextmanager
def _opened(file: Path) -> Iterator[soundfile.SoundFile]:
    """A sound that a recorder may have written, no larger than any of a run.

    Raises:
        TraceError: it is none, is missing, or cannot be read.
    """
    import soundfile  # not before a sound is read

    try:
        if file.is_symlink() or not is_file(file) or file.stat().st_size > MAX_AUDIO:
            raise TraceError(f"{file} is missing or far too large: the trace is damaged.")
        with soundfile.SoundFile(file) as sound:
            if sound.frames > MAX_AUDIO_SAMPLES or sound.channels != 1 or sound.format != "FLAC":
                raise TraceError(f"{file} is not the audio of a run: the trace is damaged.")
            yield sound
    except (OSError, soundfile.SoundFileError) as error:
        raise TraceError(f"{file} cannot be read ({one_line(error)}): the trace is damaged.") from error
