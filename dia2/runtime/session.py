"""A run that is ready for its main loop: prefix read and warmed up, words queued, tensors allocated."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass

from dia2.generation import GenerationConfig
from dia2.hooks import Observer
from dia2.runtime.context import RuntimeContext
from dia2.runtime.frame import GenerationState
from dia2.runtime.generator import build_initial_state, warmup_with_prefix
from dia2.runtime.state_machine import Entry, State
from dia2.runtime.voice_clone import PrefixPlan

logger = logging.getLogger("dia2")


@dataclass
class Session:
    """One run."""

    config: GenerationConfig
    seed: int
    entries: list[Entry]  # all of them, prefix first; streamed text is added as it comes
    prefix_words: int  # how many of `entries` belong to the prefix
    state: State  # the machine's
    gen: GenerationState
    start_step: int

    @property
    def includes_prefix(self) -> bool:
        """The result keeps the prefix."""
        return self.config.prefix is not None and self.config.prefix.include_audio

    def crop(self, first_word_frame: int, frames: int) -> int:
        """How many of `frames` to cut off the front: none with an included prefix, or if that would leave nothing."""
        return 0 if self.includes_prefix or first_word_frame >= frames else first_word_frame


@dataclass(frozen=True)
class PlacedWord:
    """A word of the result."""

    text: str
    seconds: float  # from the start of the waveform
    speaker: int  # 1 or 2


def open_session(
    runtime: RuntimeContext,
    config: GenerationConfig,
    plan: PrefixPlan | None,
    script: list[Entry],
    observer: Observer | None = None,
) -> Session:
    """Queue prefix and script, allocate the run's tensors, warm up with the prefix.

    A config without a seed gets a new one, noted in the session.
    """
    seed = secrets.randbelow(2**31) if config.seed is None else config.seed
    prefix_entries = plan.entries if plan else []
    entries = prefix_entries + script
    if observer is not None:
        observer("entries", list(entries))
    runtime.machine.initial_padding = config.initial_padding
    state = runtime.machine.new_state(entries)
    gen = build_initial_state(runtime, config, seed, plan)
    logger.info("script: %d words and breaks, seed %d", len(script), seed)
    start_step = 0
    if plan is not None:
        logger.info("prefix: %d words, %d frames", len(plan.entries), plan.aligned_frames)
        start_step = warmup_with_prefix(runtime, plan, state, gen, observer=observer)
    return Session(config, seed, entries, len(prefix_entries), state, gen, start_step)


def place_words(session: Session, crop: int, frame_rate: float) -> list[PlacedWord]:
    """Where the words that were begun so far stand in a waveform that lacks its first `crop` frames.

    Prefix words, and whatever begins before the cut, are left out unless the prefix is included. Prefix words are
    told by their number alone: one that the warm-up did not reach is still left out, and a script's word never
    counts as one.
    """
    words = [entry for entry in session.entries if entry.tokens]
    skip = 0 if session.includes_prefix else session.prefix_words
    return [
        PlacedWord(text, (step - crop) / frame_rate, entry.speaker)
        for (text, step), entry in list(zip(session.state.transcript, words, strict=False))[skip:]
        if crop <= step <= session.gen.last_step  # Ctrl-C can leave the machine one step ahead
    ]
