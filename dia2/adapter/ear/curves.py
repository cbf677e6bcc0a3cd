"""What the ear heard of a prefix, as data, and the file that holds it in a trace."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError, safe_open

from dia2.adapter.ear.shifts import ShiftFound, Window, WordPath, hears, shifts_of, windows_of
from dia2.adapter.layout import EAR_FILE
from dia2.common.brief import brief_repr
from dia2.common.checks import check_header, is_file
from dia2.common.errors import TraceError, one_line
from dia2.common.rust import RustPanicError, calling_rust
from dia2.inspect.store.layout import MAX_HEADER

if TYPE_CHECKING:
    from dia2.adapter.trace import Dia2Trace

MAX_HYPOTHESES = 64
MOST_WORDS = 4000  # that are judged; two minutes of speech have some 400
_MAX_LATE = 1000  # frames


@dataclass(frozen=True)
class EarCurves:
    """How unlikely the checkpoint finds the sound of a prefix under hypotheses about when its words are said.

    The unit is −log p of the code of codebook 0 that sounds in a frame, in nats: the lower, the better do the words
    explain the sound. A frame is NaN where nothing is known: the last ones of the prefix, whose codes the warm-up does
    not come to.
    """

    __repr__ = brief_repr

    late: np.ndarray  # [H] int32, ascending, with 0: hypothesis h says that all words come so many frames late
    nats: np.ndarray  # [H, frames] float32, by hypothesis
    given: np.ndarray  # [frames] float32, as the run itself was warmed up: speaker 2's words stand three frames early
    starts: np.ndarray  # [words] float64 seconds of the prefix at which each word is said to begin
    speakers: np.ndarray  # [words] int64, 1 or 2: whose recording each is in
    voice_frames: tuple[int, ...]  # length of each recording
    frame_rate: float  # frames a second
    codes: int  # of a codebook; log(codes) nats are what a blind guess costs

    @cached_property
    def shifts(self) -> list[ShiftFound]:
        """Words that come late or early; none of a recording that the checkpoint cannot follow, see `deaf`."""
        found: list[ShiftFound] = []
        for speaker, path in self._paths.items():
            if speaker not in self.deaf:
                before = int((self.speakers < speaker).sum())
                found += shifts_of(path, speaker, before, self.frame_rate)
        return found

    @cached_property
    def windows(self) -> list[Window]:
        """How windows of 2.6 s take the words, half a second from one to the next, both recordings."""
        found: list[Window] = []
        for speaker, part in self._parts.items():
            told = speaker not in self.deaf
            found += windows_of(self.nats[:, part], self.late, speaker, part.start, self.frame_rate, told=told)
        return found

    @cached_property
    def deaf(self) -> list[int]:
        """Speakers whose recordings the checkpoint cannot follow: nothing can be told of their words by ear.

        Under their likeliest shifts it would still do better by guessing blindly.
        """
        chance = math.log(self.codes)
        return [who for who in self._parts if who not in self._paths or not hears(self._paths[who], chance)]

    @property
    def _parts(self) -> dict[int, slice]:
        """The frames of each speaker's recording."""
        parts, begin = {}, 0
        for speaker, length in enumerate(self.voice_frames, 1):
            parts[speaker] = slice(begin, begin + length)
            begin += length
        return parts

    @cached_property
    def _paths(self) -> dict[int, WordPath]:
        """Of each speaker who has words, and more than one hypothesis about them."""
        paths: dict[int, WordPath] = {}
        if len(self.late) < 2 or len(self.starts) > MOST_WORDS or (np.diff(self.speakers) < 0).any():
            return paths
        if sum(self.voice_frames) != self.nats.shape[1]:
            return paths
        for speaker, part in self._parts.items():
            starts = self.starts[self.speakers == speaker] * self.frame_rate - part.start
            within = len(starts) > 0 and starts[0] >= -1 and starts[-1] <= part.stop - part.start + 1
            if within and (np.diff(starts) >= 0).all():
                paths[speaker] = WordPath(self.nats[:, part], self.late, starts)
        return paths

    def tensors(self) -> dict[str, np.ndarray]:
        """What the trace's manifest does not tell."""
        return {"late": self.late, "nats": self.nats, "given": self.given}


def read_ear(trace: Dia2Trace) -> EarCurves | None:
    """The curves of a trace; `None` where there are none.

    Raises:
        TraceError: the file is damaged.
    """
    file, frames = trace.path / EAR_FILE, trace.run.prefix_frames
    if file.is_symlink():
        raise TraceError(f"{file} is a link, which is not followed.")
    if not frames or not is_file(file):
        return None
    late, nats, given = _read(file, frames)
    return curves_of(trace, late, nats, given)


def curves_of(trace: Dia2Trace, late: np.ndarray, nats: np.ndarray, given: np.ndarray) -> EarCurves:
    """The curves of a trace's prefix, from what was heard of it."""
    run = trace.run
    starts = trace.prefix_starts
    speakers = [entry.speaker for entry in run.entries[: run.prefix_words]][: len(starts)]
    return EarCurves(
        late,
        nats,
        given,
        np.array(starts, np.float64),
        np.array(speakers, np.int64),
        tuple(run.voice_frames) or (run.prefix_frames,),
        run.model.frame_rate,
        run.model.codes,
    )


def _read(file: Path, frames: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    try:
        if file.stat().st_size > MAX_HEADER + 4 * (MAX_HYPOTHESES + 1) * (frames + 1):
            raise TraceError(f"{file} is larger than its {frames:,} frames: the trace is damaged.")
        check_header(file)
        with calling_rust(), safe_open(file, framework="np") as tensors:
            shape = list(tensors.get_slice("late").get_shape())
            count = shape[0] if len(shape) == 1 and 1 <= shape[0] <= MAX_HYPOTHESES else -1
            wanted = {"late": ("I32", [count]), "nats": ("F32", [count, frames]), "given": ("F32", [frames])}
            for name, (dtype, size) in wanted.items():
                part = tensors.get_slice(name)
                if part.get_dtype() != dtype or list(part.get_shape()) != size:
                    raise TraceError(f"{file} is damaged: {name} is {part.get_dtype()} {part.get_shape()}.")
            late, nats, given = (tensors.get_tensor(name) for name in wanted)
    except (OSError, SafetensorError, RustPanicError, ValueError, KeyError) as error:
        raise TraceError(f"{file} cannot be read ({one_line(error)}): the trace is damaged.") from error
    ordered = (np.diff(late) > 0).all() and (abs(late) <= _MAX_LATE).all() and (late == 0).any()
    if not ordered or any((np.isinf(part) | (part < 0)).any() for part in (nats, given)):
        raise TraceError(f"{file} is damaged: its shifts or its nats are out of range.")
    return late, nats, given
