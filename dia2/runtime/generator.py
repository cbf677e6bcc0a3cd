"""Generation: the initial state, prefix warm-up, the main loop, and what is cut from the grid afterwards."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator
from typing import NamedTuple

import torch
from torch import Tensor

from dia2.audio.grid import delay_frames
from dia2.common.errors import CheckpointError, UsageError
from dia2.common.hooks import PHASES, CallInfo, current_observer, phase
from dia2.core.ambient import isolated
from dia2.core.cache import Span, causal_mask, whole_rows
from dia2.core.uniforms import uniforms
from dia2.generation import GenerationConfig, StopReason
from dia2.runtime.capture import CaptureBuffers, FrameLog, ring_shapes
from dia2.runtime.context import RuntimeContext
from dia2.runtime.frame import GenerationState, audio_inputs
from dia2.runtime.graphs import make_runner, settle
from dia2.runtime.guidance import special_codes
from dia2.runtime.interventions import Interventions
from dia2.runtime.observed import Frames, FrameTimes, MachineRow
from dia2.runtime.prefix_cache import prefix_key
from dia2.runtime.state_machine import Emission, State
from dia2.runtime.turns import Made, Rows, Turns, Wait
from dia2.runtime.voice_clone import PrefixPlan
from dia2.runtime.written import Moment, trail

logger = logging.getLogger("dia2")

INTERRUPTED = "interrupted: decoding what there is; once more drops it"
WARMUP_CHUNK = 256  # frames of the prefix per pass; bounds the attention mask


@phase("state.build")
def build_initial_state(
    runtime: RuntimeContext,
    config: GenerationConfig,
    seed: int,
    prefix: PrefixPlan | None = None,
    interventions: Interventions | None = None,
    rows: Rows | None = None,
) -> GenerationState:
    """All tensors of a run, with the prefix's delayed codes at the start of the grid.

    With guidance off the unconditional branch cannot influence anything and is left out: B is 1 then, else 2. For CUDA
    graphs they are lent by the engine, with room for the usual prefix, and go back when the session is closed. In a
    batch they are a row of it, one of `rows`.
    """
    guided = config.cfg_scale != 1.0 if interventions is None else interventions.guided
    branches = 2 if guided else 1
    frames = prefix.aligned_frames if prefix else 0
    forced = interventions is not None
    if rows is not None:
        gen = rows.lend(branches, frames, forced=forced)
    elif config.use_cuda_graph and runtime.pool.backend is not None:
        gen = runtime.pool.acquire(
            branches, frames, runtime.frame_rate, lambda size: _allocate(runtime, size.branches, size.room, forced=True)
        )
        _clear_caches(gen)
        if not forced:
            gen.forced = None
    else:
        gen = _allocate(runtime, branches, frames, forced=forced)
    _begin(runtime, gen, seed, prefix)
    return gen


def extent(runtime: RuntimeContext, frames: int) -> tuple[int, int]:
    """The most calls of a run whose prefix has so many frames, and the columns of its grid."""
    calls = frames + runtime.config.runtime.max_context_steps
    return calls, calls + (max(runtime.audio_delays) if frames else 0) + 1


def _allocate(runtime: RuntimeContext, branches: int, frames: int, *, forced: bool) -> GenerationState:
    """Tensors for a prefix of up to `frames`; whatever a run changes, save the caches, is without a value yet."""
    data, device = runtime.config.data, runtime.device
    calls, columns = extent(runtime, frames)

    def empty(*shape: int) -> Tensor:
        return torch.empty(shape, dtype=torch.int64, device=device)

    return GenerationState(
        step_tokens=empty(branches, data.channels, 1),
        audio_buf=empty(branches, data.num_codebooks, columns),
        decode=runtime.model.new_decode_state(
            branches=branches, slots=whole_rows(calls), positions=calls, device=device
        ),
        text=empty(2),
        step=empty(1),
        call=empty(1),
        uniforms=torch.empty((calls, data.channels), dtype=torch.float32, device=device),
        delays=runtime.audio_delay_tensor,
        specials=special_codes(runtime.constants, data.audio_vocab_size).to(device),
        forced=empty(data.num_codebooks) if forced else None,
    )


def _begin(runtime: RuntimeContext, gen: GenerationState, seed: int, prefix: PrefixPlan | None) -> None:
    """Give every tensor that a run changes its first value, save the caches: a slot is written before it is read."""
    ids = runtime.constants
    gen.step_tokens.fill_(ids.pad)
    gen.step_tokens[1:, 0] = ids.zero
    gen.audio_buf.fill_(ids.ungenerated)
    if prefix:
        delayed = delay_frames(prefix.aligned_tokens.to(runtime.device), runtime.audio_delays, ids.audio_pad)
        gen.audio_buf[:, :, : delayed.shape[1]] = delayed
    gen.text[0].fill_(ids.bos)
    gen.text[1].fill_(ids.pad)
    gen.step.zero_()
    gen.call.zero_()
    gen.uniforms.copy_(uniforms(seed, *gen.uniforms.shape))
    if gen.forced is not None:
        gen.forced.fill_(-1)


def _clear_caches(gen: GenerationState) -> None:
    """Graphs read all slots under a mask, those that memory or a run before has filled, too."""
    settle(gen.call.device)
    gen.decode.transformer.clear()
    gen.decode.depformer.clear()


@phase("warmup")
def warmup_with_prefix(
    runtime: RuntimeContext,
    config: GenerationConfig,
    plan: PrefixPlan,
    state: State,
    gen: GenerationState,
    interventions: Interventions | None = None,
    *,
    chunk: int = WARMUP_CHUNK,
) -> int:
    """Run transformer and machine over the prefix; returns the step at which generation starts.

    Nothing that the model says counts here, so every frame's input is known beforehand: the machine runs first,
    forced, and the transformer then takes `chunk` frames a pass, or `None` if this prefix is still in the warm cache. A
    forced new word that finds tokens of the word before still pending is lost: its entry stays queued, and the words
    after it slip.

    That start is the prefix's last frame, which is run a second time, now with the text that its own step has
    emitted: one more cache slot at the same position.
    """
    ids, frames = runtime.constants, plan.aligned_frames
    new_words = set(plan.new_word_steps)
    branches, channels = gen.step_tokens.shape[:2]
    tokens = torch.full((branches, channels, frames), ids.pad, dtype=torch.int64, device=runtime.device)
    tokens[1:, 0] = ids.zero
    tokens[:, 2:] = audio_inputs(gen, ids, torch.arange(frames, device=runtime.device))

    observer = current_observer()
    if observer is not None and observer.points <= PHASES:
        observer = None
    text = [(ids.bos, ids.pad)]  # of the step before
    rows: list[MachineRow] = []
    written = None if interventions is None else interventions.written
    moments: list[Moment] = []
    for step in range(frames):
        if interventions is not None and written is not None:
            moments.append(interventions.moment(step, state))
        action = ids.new_word if step in new_words else ids.pad
        emitted = runtime.machine.step(step, state, action, forced=True)
        text.append((emitted.main, emitted.second))
        if observer is not None:
            rows.append(_machine_row(step, action, True, emitted, state))
        if interventions is not None:
            interventions.made(_machine_row(step, action, True, emitted, state))
    tokens[0, :2] = torch.tensor(text[:-1], device=runtime.device).T

    key = prefix_key(runtime.model.transformer, tokens, chunk, trail(() if written is None else written.edits, moments))
    warm = runtime.warm.restore(key, gen.decode.transformer)
    cos, sin = gen.decode.rotation
    for first in range(0, frames, chunk):
        part = slice(first, min(first + chunk, frames))
        if not warm:
            slots = torch.arange(part.start, part.stop, device=runtime.device)
            mask = causal_mask(first, part.stop - first, runtime.device)
            span = Span(gen.decode.transformer, slots, part.stop, mask)
            writes = None if written is None else written.over(moments[part])
            runtime.model.transformer(tokens[:, :, part], (cos[part], sin[part]), span, writes=writes)
        if observer is not None:
            calls = [CallInfo(step, "warmup", step, step, step) for step in range(part.start, part.stop)]
            observer.frames(Frames(config, calls, rows[part], [], tokens[:, :, part].permute(2, 0, 1).cpu(), None, {}))
    if not warm:
        runtime.warm.store(key, gen.decode.transformer)

    gen.text.copy_(torch.tensor(text[-1]))
    gen.calls, gen.last_step = frames, frames - 2
    gen.call.fill_(frames)
    gen.step.fill_(frames - 1)
    return frames - 1


def generate_frames(
    runtime: RuntimeContext,
    config: GenerationConfig,
    state: State,
    gen: GenerationState,
    *,
    start_step: int,
    interventions: Interventions | None = None,
) -> Generator[Wait | Made, None, None]:
    """The main loop, an item for each frame that is finished; in a batch also one for each half that is due.

    Args:
        runtime: the checkpoint.
        config: sampling and guidance.
        state: the machine's, changed in place; the caller may append entries between items (streamed text).
        gen: the tensors, changed in place; column step + 1 of the grid is written when an item comes out.
        start_step: 0, or what `warmup_with_prefix` returned.
        interventions: edits, and the past of a fork.
    """
    log = _open_log(runtime, gen)
    buffers = None if log is None else log.buffers
    runner = make_runner(runtime, gen, config, buffers)
    machine = runtime.machine
    times = [0.0] * 4  # when the frame began, knew its action, had its text, was finished
    try:
        for step in range(start_step, start_step + runtime.config.runtime.max_context_steps):
            last = _last_step(runtime, state)
            if last is not None and step > last:
                return
            if interventions is not None:
                now = interventions.config(gen.calls)
                if now != config:
                    if log is not None:
                        log.flush(config)
                    config, runner = now, make_runner(runtime, gen, now, buffers)
                assert gen.forced is not None, "a run with interventions has a place for them"
                gen.forced.copy_(interventions.codes(gen.calls))
                interventions.write(gen.calls, state)
            if log is not None:
                log.begin()
                times[0] = time.perf_counter()
            if runner.shared:
                yield Wait.FIRST
            first = runner.first()
            if step == start_step and not bool(first.hidden.isfinite().all()):
                raise _not_finite(interventions)
            if runner.ahead:
                runner.second()
            action = runner.action()  # the frame's one host sync
            if log is not None:
                times[1] = time.perf_counter()
            if interventions is not None:
                action = interventions.action(gen.calls, action)
            emitted = machine.step(step, state, action)
            if interventions is not None:
                emitted = interventions.text(gen.calls, emitted)
            gen.text[0].fill_(emitted.main)  # scalars travel with the launch: no host memory that must stay alive
            gen.text[1].fill_(emitted.second)
            if log is not None:
                times[2] = time.perf_counter()
            if runner.shared:
                yield Wait.SECOND
            if not runner.ahead:
                runner.second()
            gen.calls += 1
            gen.last_step = step
            if log is not None:
                times[3] = time.perf_counter()
                info = CallInfo(gen.calls - 1, "main", step, step, gen.calls - 1)
                log.end(config, info, _machine_row(step, action, False, emitted, state), _frame_times(times))
            if interventions is not None:
                interventions.made(_machine_row(step, action, False, emitted, state))
            yield Made(step, emitted)
    finally:
        if log is not None:
            with isolated():  # a generator that nobody holds any more ends anywhere
                log.flush(config, last=True)


def _not_finite(interventions: Interventions | None) -> Exception:
    """Why a network computes no numbers, as far as can be told."""
    if interventions is not None and interventions.written is not None:
        return UsageError("With these edits of activations the model computes NaN or infinity: take a smaller scale.")
    return CheckpointError("The model computes NaN or infinity: its weights are damaged.")


class FirstWord:
    """Finds the frame at which the result is cut: where the main stream first carries a new word.

    A machine with lookahead puts its new words into the second stream, so there it is the start step, and a stream
    need not wait for it (`known`). Only a word whose own tokens hold the new-word id can still move it.
    """

    def __init__(self, runtime: RuntimeContext, config: GenerationConfig, start_step: int) -> None:
        self._new_word = runtime.constants.new_word
        self._lead = config.initial_padding
        self._found = False
        self.known = runtime.machine.second_stream_ahead > 0
        self.frame = start_step

    def see(self, step: int, emitted: Emission) -> None:
        """Take note of one step of the main loop."""
        if not self._found and emitted.main == self._new_word:
            self._found = self.known = True
            self.frame = max(0, step - self._lead)


class LoopResult(NamedTuple):
    """What the main loop leaves."""

    first_word_frame: int  # see `FirstWord`
    grid: Tensor  # [B, K, columns] int64, cut after the last finished step
    stop_reason: StopReason


@phase("loop")
def run_generation_loop(
    runtime: RuntimeContext,
    config: GenerationConfig,
    state: State,
    gen: GenerationState,
    *,
    start_step: int,
    interventions: Interventions | None = None,
    progress: Callable[[int], None] | None = None,
) -> Turns[LoopResult]:
    """Run the main loop to its end, or to Ctrl-C, which keeps the frames that are finished; see `turns`.

    Args:
        runtime: the checkpoint.
        config: sampling and guidance.
        state: the machine's, changed in place.
        gen: the tensors, changed in place.
        start_step: 0, or what `warmup_with_prefix` returned.
        interventions: edits, and the past of a fork.
        progress: called after each frame with the number of frames made.
    """
    first_word, alone = FirstWord(runtime, config, start_step), True
    try:
        for made in generate_frames(runtime, config, state, gen, start_step=start_step, interventions=interventions):
            if isinstance(made, Wait):
                alone = False  # a batch says it once, for all of its rows
                yield made
                continue
            first_word.see(*made)
            if progress is not None:
                progress(made.step - start_step + 1)
        reason = stop_reason(runtime, state, gen)
    except KeyboardInterrupt:
        if alone:
            logger.warning(INTERRUPTED)
        reason = "interrupted"
    return LoopResult(first_word.frame, trim_grid(runtime, gen), reason)


def stop_reason(runtime: RuntimeContext, state: State, gen: GenerationState) -> StopReason:
    """Why a main loop that was not interrupted ended."""
    last = _last_step(runtime, state)
    return "end" if last is not None and gen.last_step >= last else "context"


def _last_step(runtime: RuntimeContext, state: State) -> int | None:
    """The last step to run, once the machine has asked for a word in vain: the delays, and a little silence."""
    if state.end_step is None:
        return None
    return state.end_step + max(runtime.audio_delays) + runtime.machine.max_padding - 1


def trim_grid(runtime: RuntimeContext, gen: GenerationState) -> Tensor:
    """The grid [B, K, last finished step + 2] with audio pad where nothing was generated."""
    ids = runtime.constants
    grid = gen.audio_buf[:, :, : gen.last_step + 2]
    return grid.masked_fill(grid == ids.ungenerated, ids.audio_pad)


@phase("codec.decode")
def decode_audio(runtime: RuntimeContext, aligned: Tensor) -> Tensor:
    """Waveform [N] float32 on the CPU of aligned codes [K, T]."""
    return runtime.mimi.decode(aligned).cpu()


def _open_log(runtime: RuntimeContext, gen: GenerationState) -> FrameLog | None:
    """Rings for whoever observes frames; `None` if nobody does."""
    observer = current_observer()
    if observer is None:
        return None
    shapes = ring_shapes(observer.points, runtime.model, gen.step_tokens.shape[0])
    if not shapes:
        return None
    buffers = CaptureBuffers(shapes, runtime.device) if gen.lease is None else gen.lease.state.buffers(shapes)
    return FrameLog(observer, buffers, gen)


def _frame_times(times: list[float]) -> FrameTimes:
    began, first, text, end = times
    return FrameTimes(began, first=first - began, machine=text - first, second=end - text, frame=end - began)


def _machine_row(step: int, action: int, forced: bool, emitted: Emission, state: State) -> MachineRow:
    return MachineRow(
        step=step,
        action=action,
        forced=forced,
        main=emitted.main,
        second=emitted.second,
        consumed=emitted.consumed,
        padding_budget=state.padding_budget,
        forced_padding=state.forced_padding,
        entries_left=len(state.entries),
        pending=list(state.pending_tokens),
        lookahead=list(state.lookahead_tokens),
        end_step=state.end_step,
    )
