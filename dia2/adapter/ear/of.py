"""The ear for a trace that was recorded without it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from dia2.adapter.checkpoint import check_checkpoint
from dia2.adapter.ear.alternatives import Alternatives
from dia2.adapter.ear.curves import EarCurves, curves_of
from dia2.adapter.ear.hear import Progress, hear
from dia2.adapter.ear.hypotheses import Hypothesis
from dia2.adapter.trace import Dia2Trace
from dia2.common.errors import Dia2Error, TraceError
from dia2.common.hashing import hash_path
from dia2.engine import Dia2
from dia2.runtime.assets import Assets, from_local, nano_folder
from dia2.runtime.words import Word

logger = logging.getLogger("dia2")


def ear_of(trace: Dia2Trace, tts: Dia2, progress: Progress | None = None) -> EarCurves | None:
    """What the ear hears in a trace's prefix: as it was kept, or else computed now.

    Args:
        trace: of any level.
        tts: the checkpoint that made it.
        progress: called with (hypotheses heard, hypotheses in all).

    Returns:
        `None` without a prefix, or where the times of its words are not known.

    Raises:
        UsageError: another checkpoint.
        TraceError: the trace was redacted, or is damaged.
    """
    if trace.ear is not None:
        return trace.ear
    trace.adapter.check_engine(tts, "The ear")
    runtime, run = tts.runtime, trace.run
    check_checkpoint(trace, runtime)
    prefix, spoken = trace.prefix, spoken_of(trace)
    if prefix is None or spoken is None:
        return None
    given = Hypothesis(run.entries, prefix.new_word_steps.tolist())
    codes = torch.from_numpy(prefix.codes.astype(np.int64))
    return curves_of(trace, *hear(runtime, codes, run.voice_frames, spoken, given, progress))


def alternatives_of(trace: Dia2Trace, tts: Dia2) -> Alternatives:
    """For the prefix of a trace.

    Args:
        trace: of any level.
        tts: the checkpoint that made it.

    Raises:
        UsageError: another checkpoint.
        TraceError: there is no prefix, the times of its words are not known, or the trace was redacted.
    """
    trace.adapter.check_engine(tts, "The ear")
    check_checkpoint(trace, tts.runtime)
    run, prefix = trace.run, trace.prefix
    spoken = spoken_of(trace)
    if prefix is None or spoken is None:
        raise TraceError(f"{trace.path} has no prefix whose words have times: there is nothing to compare with.")
    codes = torch.from_numpy(prefix.codes.astype(np.int64))
    return Alternatives(tts.runtime, codes, run.voice_frames, spoken, run.entries[run.prefix_words :])


def spoken_of(trace: Dia2Trace) -> list[list[Word]] | None:
    """The words of each prefix recording with their times within it; `None` where they are not known of all."""
    run = trace.run
    if not run.spoken or len(run.spoken) != run.prefix_words or sum(run.voice_frames) != run.prefix_frames:
        return None
    return [
        [Word(word.text, word.start, word.end) for word in run.spoken if word.speaker == speaker]
        for speaker in range(1, len(run.voice_frames) + 1)
    ]


def engine_of(trace: Dia2Trace) -> Dia2 | None:
    """The checkpoint that made a trace, if it is at hand, not loaded yet; `None` if it is not.

    It is the embedded one, or lies where the trace says it was loaded from. Which one it is its hashes decide.
    """
    hashes = trace.run.hashes
    for assets in _at_hand(trace):
        parts = {"config": assets.config_path, "weights": assets.weights_path}
        if all(hash_path(path) == hashes.get(part) for part, path in parts.items()):  # the small file first
            return Dia2.from_local(
                assets.config_path, assets.weights_path, tokenizer_id=assets.tokenizer, mimi_id=assets.mimi
            )
    return None


def witness(trace: Dia2Trace) -> Dia2 | None:
    """The checkpoint of a trace that lacks what the ear heard of its prefix, if it is at hand; else that is said."""
    if not trace.begun or "voice" in trace.redacted or trace.ear is not None or spoken_of(trace) is None:
        return None
    if (tts := engine_of(trace)) is None:
        logger.warning("the checkpoint of %s is not at hand: its prefix is judged without its ear", trace.path)
    return tts


def _at_hand(trace: Dia2Trace) -> Iterator[Assets]:
    folder = nano_folder()
    yield from_local(folder / "config.json", folder / "model.safetensors")
    for phase in trace.phases:
        if phase.name == "runtime.build" and phase.trigger is not None:
            config, _, weights = phase.trigger.partition(", ")
            try:
                assets = from_local(Path(config), Path(weights))
            except (Dia2Error, OSError, ValueError):  # it is not there any more, or never was
                continue
            yield assets
