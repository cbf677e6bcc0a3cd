"""The loop: rows of the delayed grid one after the other, for all scripts at once.

A step is one function of tensors that are changed in place: row in, logits, guidance, draw, countdown, row out. Nothing
in it waits for the device, so it runs eagerly, compiled, or as one CUDA graph; the host asks after each step whether
all scripts have ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dia.capture import StepLog
from dia.config import DataConfig, DiaConfig
from dia.generation import NOT_BEGUN, GenerationConfig, StopReason, frames_between
from dia.layers import DiaModel
from dia.sampling import EOS_CHANNEL, choose, kept_logits
from dia.state import UNKNOWN, DecoderInferenceState, DecoderOutput, EncoderInferenceState
from dia2.common.hooks import phase
from dia2.core.uniforms import uniforms
from dia2.runtime.capture import CaptureBuffers


@dataclass
class GenerationState:
    """All tensors of a run. They are changed in place and never replaced."""

    output: DecoderOutput
    decoder: DecoderInferenceState
    row: Tensor  # [1] int64: the row that the next step reads
    prefill_steps: Tensor  # [B] int64: rows that each script is given
    last_start: Tensor  # [1] int64: first row whose writing starts every countdown, max_tokens − max(delays)
    countdown: Tensor  # [B] int64: steps since the script's end began, −1 before
    ended_at: Tensor  # [B] int64: row of its eos, drawn or forced; −1 before
    drew_eos: Tensor  # [B] bool: whether it was drawn
    finished: Tensor  # [1] bool: every countdown has ended
    uniforms: Tensor  # [rows, B, C] float32: the draws of the run, by the row that is read
    delays: Tensor  # [C] int64

    @property
    def scripts(self) -> int:
        """B."""
        return self.prefill_steps.shape[0]


def new_state(
    config: DiaConfig, *, scripts: int, rows: int, text: int, dtype: torch.dtype, device: torch.device
) -> GenerationState:
    """Tensors for `scripts` scripts of at most `text` bytes and `rows` rows; `begin` makes them those of a run."""
    channels = config.data.channels

    def number(size: int = 1) -> Tensor:
        return torch.zeros(size, dtype=torch.int64, device=device)

    return GenerationState(
        output=DecoderOutput.new(scripts, rows, channels, device),
        decoder=DecoderInferenceState.new(config, rows=2 * scripts, slots=rows, text=text, dtype=dtype, device=device),
        row=number(),
        prefill_steps=number(scripts),
        last_start=number(),
        countdown=number(scripts),
        ended_at=number(scripts),
        drew_eos=torch.zeros(scripts, dtype=torch.bool, device=device),
        finished=torch.zeros(1, dtype=torch.bool, device=device),
        uniforms=torch.zeros(rows, scripts, channels, dtype=torch.float32, device=device),
        delays=torch.tensor(config.data.delay_pattern, device=device),
    )


def begin(
    state: GenerationState, delayed: Tensor, prefill_steps: list[int], *, rows: int, seed: int, data: DataConfig
) -> None:
    """Begin a run before its first row.

    Args:
        state: of any run before.
        delayed: [B, T, C] the rows that are given, −1 where unknown.
        prefill_steps: how many, of each script.
        rows: that the run may fill.
        seed: of the draws.
        data: of the checkpoint's config.
    """
    state.output.generated_tokens.fill_(UNKNOWN)
    state.output.prefill(delayed[:, :rows], prefill_steps)
    state.prefill_steps.copy_(torch.tensor(prefill_steps))
    state.row.fill_(min(prefill_steps) - 1)
    state.last_start.fill_(rows - data.max_delay)
    for tensor in (state.countdown, state.ended_at):
        tensor.fill_(NOT_BEGUN)
    state.drew_eos.fill_(False)
    state.finished.fill_(False)
    channels = data.channels
    drawn = [uniforms((seed + i) % 2**64, state.uniforms.shape[0], channels) for i in range(state.scripts)]
    state.uniforms.copy_(torch.stack(drawn, dim=1))


# The text


@phase("dia.encoder")
def encode(model: DiaModel, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Run the encoder over scripts and, for guidance, over as much padding.

    Args:
        model: the network.
        tokens: [B, S] int64.
        mask: [B, S] bool, true at text.

    Returns:
        The encoder's output [2B, S, width], for each script unconditional first; and the mask of its rows [2B, S].
    """
    empty = torch.full_like(tokens, model.config.data.text_pad_value)
    both = torch.stack((empty, tokens), dim=1).flatten(0, 1).to(model.device)  # [2B, S]
    mask = mask.repeat_interleave(2, dim=0).to(model.device)
    out: Tensor = model.encoder(both, EncoderInferenceState.new(model.config, mask))
    return out, mask


@phase("dia.cross")
def fill_cross_cache(model: DiaModel, state: GenerationState, text: Tensor, mask: Tensor) -> None:
    """Compute what cross-attention looks at in every step, of the encoder's output [2B, S, width] and its mask."""
    state.decoder.take_text(model.decoder.keys_values(text), mask)


# The rows


@phase("dia.prefill")
def prefill(model: DiaModel, state: GenerationState) -> int:
    """Run the rows that all scripts are given, but for the last one, through the decoder; returns how many."""
    count = min(state.output.prefill_steps) - 1
    if count:
        rows = torch.arange(count, device=model.device)
        tokens = state.output.generated_tokens[:, :count].repeat_interleave(2, dim=0)
        causal = (rows[None, :] <= rows[:, None])[None]  # [1, count, count]
        model.decoder(tokens, state.decoder.rotation_of(rows), state.decoder, rows, count, causal)
    return count


def decode_step(
    model: DiaModel,
    state: GenerationState,
    config: GenerationConfig,
    length: int,
    mask: Tensor | None = None,
    buffers: CaptureBuffers | None = None,
) -> None:
    """Read the row `state.row`, write the next one.

    Args:
        model: the network.
        state: of the run.
        config: sampling and guidance.
        length: slots of the self-attention cache that are looked at.
        mask: [1, 1, length] bool, true at those that are written; `None`: all are.
        buffers: for an observer.
    """
    tokens = state.output.generated_tokens
    data = model.config.data
    read = tokens.index_select(1, state.row)  # [B, 1, C]
    rotation = state.decoder.rotation_of(state.row)
    hidden = model.decoder(
        read.repeat_interleave(2, dim=0),
        rotation,
        state.decoder,
        state.row,
        length,
        mask,
        compiled=config.use_torch_compile,
    )
    logits = model.decoder.logits(hidden)[:, 0]  # [2B, C, V]
    keep, eos = config.cfg_filter_top_k, data.audio_eos_value
    drawn = choose(
        kept_logits(logits, cfg_scale=config.cfg_scale, keep=keep, eos=eos),
        state.uniforms.index_select(0, state.row)[0],
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=keep,
        eos=eos,
    )
    forced = count_down(state, drawn, data)
    following = state.row + 1
    known = tokens.index_select(1, following)[:, 0]  # [B, C]: a prompt's delayed tail stays
    tokens.index_copy_(1, following, torch.where(known == UNKNOWN, forced, known)[:, None])
    if buffers is not None:
        buffers.put("logits", logits)
        buffers.put("drawn", drawn)
        buffers.put("countdown", state.countdown)
    state.row.add_(1)


def count_down(state: GenerationState, drawn: Tensor, data: DataConfig) -> Tensor:
    """Begin countdowns, force the channels of scripts that end, and count on.

    With n steps since its end began, a script's channel is given eos when n is its delay and PAD when n is more: a
    staircase, so that every channel ends with the same frame.

    Args:
        state: `countdown`, `ended_at`, `drew_eos` and `finished` change.
        drawn: [B, C] for the row after `state.row`.
        data: of the checkpoint's config.

    Returns:
        [B, C] with the forced values in place.
    """
    following = state.row + 1
    drew = (drawn[:, EOS_CHANNEL] == data.audio_eos_value) & (following >= state.prefill_steps)
    begins = (state.countdown == NOT_BEGUN) & (drew | (following >= state.last_start))
    state.countdown.masked_fill_(begins, 0)
    state.ended_at.copy_(torch.where(begins, following, state.ended_at))
    state.drew_eos.logical_or_(begins & drew)
    since = state.countdown[:, None]  # [B, 1]
    active = (since >= 0) & (since < data.max_delay)
    forced = torch.where(active & (since == state.delays), data.audio_eos_value, drawn)
    forced = torch.where(active & (since > state.delays), data.audio_pad_value, forced)
    state.countdown.add_((state.countdown >= 0).long())
    state.finished.copy_((state.countdown >= data.max_delay).all())
    return forced


StepRunner = Callable[[int], None]  # runs the step that reads this row


@phase("dia.loop")
def run_loop(
    state: GenerationState,
    step: StepRunner,
    *,
    rows: int,
    progress: Callable[[int], None] | None = None,
    log: StepLog | None = None,
) -> tuple[int, bool]:
    """Step until every script has ended.

    Args:
        state: of a run that was begun and prefilled.
        step: runs one step.
        rows: that the run may fill.
        progress: called after every step with how many there were.
        log: is told when a step begins and ends, for an observer.

    Returns:
        The number of steps, and whether Ctrl-C ended them.
    """
    first = row = min(state.output.prefill_steps) - 1
    try:
        while row + 1 < rows:
            if log is not None:
                log.begin()
            step(row)
            ended = bool(state.finished)  # the one wait for the device
            row += 1
            if log is not None:
                log.end()
            if progress is not None:
                progress(row - first)
            if ended:
                break
    except KeyboardInterrupt:
        return row - first, True
    return row - first, False


def finished_lengths(state: GenerationState, written: int, data: DataConfig) -> list[int]:
    """Frames of each script.

    Args:
        state: after the loop.
        written: rows that are written, given ones included; a script that Ctrl-C kept from its end, or from the rows
            after it in which the slower channels come to theirs, has as many frames as are whole in them.
        data: of the checkpoint's config.
    """
    ends = state.ended_at.tolist()
    return [
        frames_between(given, end, written, data.max_delay)
        for end, given in zip(ends, state.output.prefill_steps, strict=True)
    ]


def stop_reasons(state: GenerationState, interrupted: bool) -> list[StopReason]:
    """Why each script ended; `interrupted`: Ctrl-C ended the loop."""
    ends, drew = state.ended_at.tolist(), state.drew_eos.tolist()
    return [
        "eos" if by_itself else "interrupted" if interrupted and end == NOT_BEGUN else "max_tokens"
        for end, by_itself in zip(ends, drew, strict=True)
    ]


def delayed_rows(state: GenerationState, lengths: Sequence[int], data: DataConfig) -> list[Tensor]:
    """Rows [length + max(delays), C] of each script from its own first one on, PAD where nothing was written."""
    found = []
    tokens = state.output.generated_tokens
    for i, (length, given) in enumerate(zip(lengths, state.output.prefill_steps, strict=True)):
        rows = tokens.new_full((length + data.max_delay, tokens.shape[2]), data.audio_pad_value)
        there = tokens[i, given : given + len(rows)]
        rows[: len(there)] = there.masked_fill(there == UNKNOWN, data.audio_pad_value)
        found.append(rows)
    return found
