"""The prefix of a trace: what a run went on from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

import numpy as np
from safetensors import SafetensorError, safe_open

from dia2.adapter.layout import PREFIX_FILE, recording_name
from dia2.adapter.manifest import Manifest, ModelFacts
from dia2.common.brief import brief_repr
from dia2.common.checks import check_header, is_file
from dia2.common.errors import TraceError, one_line
from dia2.common.rust import RustPanicError, calling_rust
from dia2.inspect.store.layout import MAX_HEADER
from dia2.inspect.trace.recordings import PrefixRecording


@dataclass(frozen=True)
class Prefix:
    """What a run went on from."""

    __repr__ = brief_repr

    codes: np.ndarray  # [K, frames] aligned
    new_word_steps: np.ndarray  # [words]
    rms: np.ndarray  # [frames] of the recordings; NaN where there was no waveform
    peak: np.ndarray  # [frames] likewise
    clipped: np.ndarray  # [frames] hundredths of a second at a flat top; NaN also in traces that do not tell


def read_prefix(path: Path, model: ModelFacts, frames: int, words: int) -> Prefix:
    """The prefix of the trace at `path`, which has so many frames and words.

    Raises:
        TraceError: it was taken out, or is damaged.
    """
    file = path / PREFIX_FILE
    if file.is_symlink() or not is_file(file):
        raise TraceError(f"{path} lacks {PREFIX_FILE}: its prefix was redacted, or lost.")
    wanted = {
        "codes": ("I32", [model.codebooks, frames]),
        "new_word_steps": ("I32", [words]),
        "rms": ("F32", [frames]),
        "peak": ("F32", [frames]),
        "clipped": ("F32", [frames]),
    }
    try:
        if file.stat().st_size > MAX_HEADER + 4 * sum(math.prod(shape) for _, shape in wanted.values()):
            raise TraceError(f"{file} is larger than its {frames:,} frames: the trace is damaged.")
        check_header(file)
        with calling_rust(), safe_open(file, framework="np") as tensors:
            if "clipped" not in tensors.keys():  # noqa: SIM118  # not a dict; a trace of an earlier dia2
                del wanted["clipped"]
            for name, (dtype, shape) in wanted.items():
                part = tensors.get_slice(name)
                if part.get_dtype() != dtype or list(part.get_shape()) != shape:
                    raise TraceError(f"{file} is damaged: {name} is {part.get_dtype()} {part.get_shape()}.")
            found = {name: tensors.get_tensor(name) for name in wanted}
    except (OSError, SafetensorError, RustPanicError, ValueError, KeyError) as error:
        raise TraceError(f"{file} cannot be read ({one_line(error)}): the trace is damaged.") from error
    codes, steps = found["codes"], found["new_word_steps"]
    if codes.min() < 0 or codes.max() >= model.audio_vocabulary or (len(steps) and steps.min() < -1):
        raise TraceError(f"{file} is damaged: its codes or steps are out of range.")
    clipped = found.get("clipped", np.full(frames, np.nan, np.float32))
    return Prefix(codes, steps, found["rms"], found["peak"], clipped)


def recordings_of(path: Path, manifest: Manifest) -> list[PrefixRecording]:
    """The recordings whose sound the trace at `path` keeps, by speaker."""
    run, found = manifest.run, []
    if run is None:
        return []
    for kept in manifest.recordings:
        *before, frames = run.voice_frames[: kept.speaker]
        file, rate = recording_name(kept.speaker), run.model.sample_rate
        given = None if run.config.prefix is None else getattr(run.config.prefix, f"speaker_{kept.speaker}")
        name = "" if given is None or "text" in manifest.redacted else PureWindowsPath(given).name  # of any system
        found.append(PrefixRecording(path, file, kept.speaker, sum(before), frames, kept.samples, rate, name))
    return found
