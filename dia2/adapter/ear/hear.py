"""Which hypotheses about a prefix are heard, and what that may cost.

First shifts two frames apart, then those beside the best ones. A pass over the prefix costs about what its warm-up
cost; where prefix and checkpoint are large, fewer passes are made.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from dia2.adapter.ear.hypotheses import Hypotheses, Hypothesis, Spoken
from dia2.adapter.ear.listen import Ear
from dia2.adapter.ear.shifts import WordPath
from dia2.common.progress import doing
from dia2.runtime.context import RuntimeContext
from dia2.runtime.generator import WARMUP_CHUNK
from dia2.runtime.prefix_cache import PrefixKey, prefix_key
from dia2.runtime.state_machine import Entry

logger = logging.getLogger("dia2")

Progress = Callable[[int, int], None]
# Frames of the largest shift, and from one to the next; where that costs too much, the second.
_GRIDS = ((18, 2), (12, 3))
_FINER = 8  # shifts more, beside the best ones
MOST_PRODUCTS = {"cpu": 5e12, "mps": 2e13, "cuda": 2e15}  # multiplications that may be made: about a minute of each


class Heard(NamedTuple):
    """What was heard of a prefix; see `EarCurves`."""

    late: np.ndarray  # [H] int32
    nats: np.ndarray  # [H, frames] float32
    given: np.ndarray  # [frames] float32


def hear(
    runtime: RuntimeContext,
    codes: Tensor,
    voice_frames: Sequence[int],
    spoken: Spoken,
    given: Hypothesis,
    progress: Progress | None = None,
) -> Heard:
    """Listen to a prefix under shifts of its words. What was heard lately is not heard again.

    Args:
        runtime: the checkpoint.
        codes: [K, frames] aligned codes of the prefix.
        voice_frames: length of each recording.
        spoken: the words of each recording, with times within it.
        given: as the run was warmed up: entries of prefix and script, and the prefix's steps.
        progress: called with (hypotheses heard, hypotheses in all).
    """
    ear, following = Ear(runtime, codes), _seen_ahead(runtime, given.entries[sum(map(len, spoken)) :])
    key = _key(runtime, ear, voice_frames, spoken, given, following)
    known: Heard | None = None if key is None else runtime.judged.get(key)
    if known is not None:
        return known
    found = _hear(runtime, ear, voice_frames, spoken, given, following, progress)
    if key is not None:
        runtime.judged.keep(key, found.nats.nbytes + len(key[0].tokens), lambda: found)
    return found


def _key(
    runtime: RuntimeContext,
    ear: Ear,
    voice_frames: Sequence[int],
    spoken: Spoken,
    given: Hypothesis,
    following: Sequence[Entry],
) -> tuple[PrefixKey, Hashable] | None:
    """All that decides what is heard; `None` if somebody's torch hook may."""
    read = prefix_key(runtime.model.transformer, ear.tokens([given]), WARMUP_CHUNK)
    words = tuple(map(tuple, spoken)), tuple(voice_frames), tuple(tuple(entry.tokens) for entry in following)
    return None if read is None else (read, words)


def _seen_ahead(runtime: RuntimeContext, script: Sequence[Entry]) -> list[Entry]:
    """The entries of the script that the second stream can look ahead to while the prefix is read."""
    words = [i for i, entry in enumerate(script) if entry.tokens][: runtime.machine.second_stream_ahead]
    return list(script[: words[-1] + 1]) if words else []


def _hear(
    runtime: RuntimeContext,
    ear: Ear,
    voice_frames: Sequence[int],
    spoken: Spoken,
    given: Hypothesis,
    following: Sequence[Entry],
    progress: Progress | None,
) -> Heard:
    hypotheses = Hypotheses(runtime.encode, runtime.frame_rate, voice_frames, following)
    grid = _grid(runtime, ear.frames)
    doing("judging the word times")
    total = 1 + len(grid) + (_FINER if len(grid) > 1 else 0)

    def heard(made: int) -> Progress:
        def tell(done: int, _: int) -> None:
            doing(f"judging the word times: {made + done} of {total} passes", log=False)
            if progress is not None:
                progress(made + done, total)

        return tell

    as_given = ear.sounding(ear.listen([given], heard(0)))[0]
    nats = ear.sounding(ear.listen([hypotheses.late(spoken, late) for late in grid], heard(1)))
    late = np.array(grid, np.int32)
    made = 1 + len(grid)
    finer = _beside_the_best(nats, late, voice_frames, spoken, runtime.frame_rate)
    total = made + len(finer)
    if finer:
        more = ear.sounding(ear.listen([hypotheses.late(spoken, at) for at in finer], heard(made)))
        late, nats = np.concatenate((late, np.array(finer, np.int32))), np.concatenate((nats, more))
    order = late.argsort()
    return Heard(late[order], nats[order], as_given)


def _grid(runtime: RuntimeContext, frames: int) -> list[int]:
    """Shifts to begin with."""
    pass_ = frames * sum(weight.numel() for weight in runtime.model.transformer.parameters())
    most = MOST_PRODUCTS.get(runtime.device.type, MOST_PRODUCTS["cpu"])
    for reach, step in _GRIDS:
        grid = list(range(-reach, reach + 1, step))
        if (1 + len(grid) + _FINER) * pass_ <= most:
            return grid
    logger.info("the prefix is too long for this checkpoint's size to try other times of its words")
    return [0]


def _beside_the_best(
    nats: np.ndarray, late: np.ndarray, voice_frames: Sequence[int], spoken: Spoken, rate: float
) -> list[int]:
    """Shifts between those that were heard, beside the likeliest ones."""
    if len(late) == 1:
        return []
    wanted: dict[int, int] = {}  # by shift, how many words would like it
    before = 0
    for words, length in zip(spoken, voice_frames, strict=True):
        if words:
            part = nats[:, before : before + length]
            path = WordPath(part, late, np.array([word.start for word in words]) * rate).best()
            for at in late[path].tolist():
                for beside in (at - 1, at + 1):
                    wanted[beside] = wanted.get(beside, 0) + 1
        before += length
    new = [at for at in wanted if at not in late.tolist()]
    return sorted(new, key=lambda at: (-wanted[at], at))[:_FINER]
