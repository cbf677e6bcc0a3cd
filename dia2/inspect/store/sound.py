"""The sound of a trace."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from dia2.common.checks import is_file
from dia2.common.errors import TraceError, one_line
from dia2.inspect.store.layout import AUDIO_FILE, MAX_AUDIO, MAX_AUDIO_SAMPLES


def read_audio(path: Path, name: str = AUDIO_FILE) -> tuple[np.ndarray, int]:
    """(waveform [N] float32, sample rate) in the file `name` of the trace at `path`.

    Raises:
        TraceError: the file is missing or damaged.
    """
    file = path / name
    try:
        if file.is_symlink() or not is_file(file) or file.stat().st_size > MAX_AUDIO:
            raise TraceError(f"{file} is missing or far too large: the trace is damaged.")
        with soundfile.SoundFile(file) as sound:
            if sound.frames > MAX_AUDIO_SAMPLES or sound.channels != 1 or sound.format != "FLAC":
                raise TraceError(f"{file} is not the audio of a run: the trace is damaged.")
            return sound.read(dtype="float32"), int(sound.samplerate)
    except (OSError, soundfile.SoundFileError) as error:
        raise TraceError(f"{file} cannot be read ({one_line(error)}): the trace is damaged.") from error
