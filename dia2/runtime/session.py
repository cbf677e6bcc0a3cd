"""A run that is ready for its main loop: prefix read and warmed up, words queued, tensors allocated."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

from dia2.common.hooks import phase
from dia2.common.progress import Progress
from dia2.common.wording import counted
from dia2.core.acts import Writes
from dia2.core.config import DiaConfig
from dia2.generation import GenerationConfig, PlacedWord
from dia2.runtime.context import RuntimeContext
from dia2.runtime.edits import Edit, activations_of, choices_of, guided
from dia2.runtime.forms import check_kernels
from dia2.runtime.frame import GenerationState
from dia2.runtime.generator import build_initial_state, warmup_with_prefix
from dia2.runtime.graphs import check_compiler
from dia2.runtime.interventions import Interventions, Past
from dia2.runtime.sounding import sounds_at
from dia2.runtime.state_machine import Entry, State, StateMachine
from dia2.runtime.turns import Rows
from dia2.runtime.voice_clone import PrefixPlan
from dia2.runtime.write_buffers import WriteBuffers
from dia2.runtime.written import Written

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

    interventions: Interventions | None = None  # edits, and the past of a fork
    recorded: Sequence[float] = ()  # seconds at which the prefix says the words that the warm-up took

    def close(self) -> None:
        """The run is over: give back the tensors that the engine lent. What `gen` holds must not be read any more."""
        if self.gen.lease is not None:
            self.gen.lease.end()

    @property
    def includes_prefix(self) -> bool:
        """The result keeps the prefix."""
        return self.config.includes_prefix

    def progress(self, frames: int, frame_rate: float) -> Progress:
        """How far it has come, after so many frames of the main loop."""
        return Progress(frames, frames / frame_rate, len(self.entries) - len(self.state.entries), len(self.entries))

    @phase("grid.crop")
    def crop(self, first_word_frame: int, frames: int) -> int:
        """How many of `frames` to cut off the front: none with an included prefix, or if that would leave nothing."""
        return 0 if self.includes_prefix or first_word_frame >= frames else first_word_frame


def open_session(
    runtime: RuntimeContext,
    config: GenerationConfig,
    plan: PrefixPlan | None,
    script: list[Entry],
    *,
    edits: Sequence[Edit] = (),
    past: Past | None = None,
    rows: Rows | None = None,
) -> Session:
    """Queue prefix and script, allocate the run's tensors, warm up with the prefix.

    A config without a seed gets a new one, noted in the session.

    Args:
        runtime: the checkpoint.
        config: sampling, guidance and seed.
        plan: the prefix, if there is one.
        script: entries of the text.
        edits: declared interventions.
        past: choices of an earlier run, to be made again (a fork).
        rows: of the batch that the run is part of.

    Raises:
        UsageError: an edit does not fit the run, or what `use_torch_compile` or `use_triton` needs is missing.
    """
    check_compiler(config.use_torch_compile, runtime.device)
    check_kernels(config, runtime.device)
    if runtime.missing_tags:
        logger.warning(
            "the tokenizer has no token for speaker tag %s: pieces of text stand for it, and the model cannot tell who "
            "speaks, so a prefix's voice may be lost and voices may change; give the model's own by --tokenizer",
            " and ".join(runtime.missing_tags),
        )
    seed = secrets.randbelow(2**31) if config.seed is None else config.seed
    entries = combine_entries(plan, script)
    interventions, written = None, None
    if edits or past is not None:
        first_call, activations = plan.aligned_frames if plan else 0, activations_of(edits)
        if activations:
            branches = 2 if guided(config, edits) else 1
            written = Written(activations, runtime.config, branches=branches, device=runtime.device)
        interventions = Interventions(
            *(runtime.config, runtime.constants, config),
            edits=choices_of(edits),
            past=past,
            first_call=first_call,
            written=written,
            entries=entries,
        )
    machine = copy(runtime.machine)  # another run may begin meanwhile, with another padding
    set_initial_padding(machine, config.initial_padding)
    state = machine.new_state(entries)
    gen = build_initial_state(runtime, config, seed, plan, interventions, rows)
    if written is not None:
        gen.writes = _room_for(written, runtime.config, gen)
    spoken = sum(bool(entry.tokens) for entry in script)
    breaks = f" and {counted(len(script) - spoken, 'break')}" if spoken < len(script) else ""
    logger.info("script: %s%s, seed %d", counted(spoken, "word"), breaks, seed)
    session = Session(config, seed, entries, len(plan.entries) if plan else 0, state, gen, 0, interventions)
    if plan is not None:
        words, frames = counted(len(plan.entries), "word"), counted(plan.aligned_frames, "frame")
        logger.info("prefix: %s, %s", words, frames)
        try:
            session.start_step = warmup_with_prefix(runtime, config, plan, state, gen, interventions)
            session.recorded = plan.sounds(runtime.frame_rate)[: len(state.transcript)]
        except BaseException:
            session.close()
            raise
    return session


def _room_for(written: Written, config: DiaConfig, gen: GenerationState) -> Writes | None:
    """Where a run's edits of activations stand: in buffers that it is lent, or in its own."""
    if gen.lease is not None:
        return gen.lease.state.write(config, written)
    buffers = WriteBuffers.make(written.needs, config, written.branches, gen.call.device)
    written.into(buffers)
    return buffers.writes


@phase("entries.combine")
def combine_entries(plan: PrefixPlan | None, script: list[Entry]) -> list[Entry]:
    """The prefix's words are literally part of what the machine goes through."""
    return (plan.entries if plan else []) + script


@phase("machine.padding")
def set_initial_padding(machine: StateMachine, frames: int) -> None:
    """Frames before the first word may begin; the machine is this run's copy of the engine's."""
    machine.initial_padding = frames


@phase("words.place")
def place_words(session: Session, crop: int, frame_rate: float) -> list[PlacedWord]:
    """When the words that were begun so far sound, in a waveform that lacks its first `crop` frames.

    Prefix words, and whatever is begun before the cut, are left out unless the prefix is included. Prefix words are
    told by their number alone: one that the warm-up did not reach is still left out, and a script's word never
    counts as one. Included, one that the warm-up took sounds when the recording says it, wherever its boundary slipped
    to; one that leaked is said by the main loop.
    """
    words = [entry for entry in session.entries if entry.tokens]
    first = 0 if session.includes_prefix else session.prefix_words
    placed = []
    begun = zip(session.state.transcript, words, strict=False)
    for i, ((text, step), entry) in enumerate(begun):
        if i < first or not crop <= step <= session.gen.last_step:  # Ctrl-C can leave the machine one step ahead
            continue
        known = i < len(session.recorded)
        seconds = session.recorded[i] if known else sounds_at(step, crop, frame_rate)
        placed.append(PlacedWord(text, seconds, entry.speaker, (step - crop) / frame_rate))
    return placed
