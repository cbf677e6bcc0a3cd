"""A frame of the main loop in two halves, with one host decision between them.

The first half runs the transformer and draws the action and codebook 0; the host's state machine turns the
action into two text tokens; the second half draws the other codebooks. Inside a half nothing waits for the
device and every tensor keeps its address, so a half can be captured as one CUDA graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from dia2.core.cache import Span
from dia2.core.model import DecodeState, Dia2Model
from dia2.generation import GenerationConfig
from dia2.runtime.capture import CaptureBuffers
from dia2.runtime.forms import form_of
from dia2.runtime.sampler import ACTION_CHANNEL
from dia2.runtime.state_machine import TokenIds

if TYPE_CHECKING:
    from dia2.runtime.lease import Lease
    from dia2.runtime.pool import PooledState


@dataclass
class GenerationState:
    """All tensors of a run. They are changed in place and never replaced."""

    step_tokens: Tensor  # [B, 2 + K, 1] int64: the frame that the transformer sees
    audio_buf: Tensor  # [B, K, columns] int64: the delayed grid; `ungenerated` where nothing was written
    decode: DecodeState  # caches and rotary tables
    text: Tensor  # [2] int64: main and second token that the machine emitted last
    step: Tensor  # [1] int64: frame index, which is grid column and rotary position
    call: Tensor  # [1] int64: calls so far, which is cache slot and row of `uniforms`
    uniforms: Tensor  # [calls, 2 + K] float32: the draws of the run
    delays: Tensor  # [K] int64: grid columns by which codebook k lags
    specials: Tensor  # [audio vocabulary] bool: true at audio pad and BOS
    forced: Tensor | None = None  # [K] int64: codes that this frame must take, −1: drawn; `None`: all are drawn
    calls: int = 0  # `call`, on the host
    last_step: int = -1  # last step that was finished; −1 before the first
    lease: Lease[PooledState] | None = None  # whose tensors these are, under CUDA graphs; `None`: the run's own


class FirstHalf(NamedTuple):
    """What the first half hands on."""

    hidden: Tensor  # [B, n_embd]
    action: Tensor  # [1] int64, drawn
    cb0: Tensor  # [1] int64, drawn


def audio_inputs(gen: GenerationState, ids: TokenIds, columns: Tensor) -> Tensor:
    """The audio channels [B, K, T] of the frames at grid `columns` [T]: BOS where there is no code (yet)."""
    cells = gen.audio_buf.index_select(2, columns)
    missing = (columns < gen.delays[:, None]) | (cells == ids.ungenerated)
    return cells.masked_fill(missing, ids.audio_bos)


def first_half(
    model: Dia2Model,
    gen: GenerationState,
    ids: TokenIds,
    config: GenerationConfig,
    span: Span,
    buffers: CaptureBuffers | None,
) -> FirstHalf:
    """Fill the frame, run the transformer, draw the action and codebook 0."""
    gen.step_tokens[0, :2, 0] = gen.text  # the unconditional branch keeps its zero and pad
    gen.step_tokens[:, 2:] = audio_inputs(gen, ids, gen.step)
    cos, sin = gen.decode.rotation
    rotation = cos.index_select(0, gen.step), sin.index_select(0, gen.step)
    form = form_of(model, config)
    out = form.transformer(gen.step_tokens, rotation, span)
    action_logits, cb0_logits = out.action_logits[:, 0], out.cb0_logits[:, 0]  # [B, V]
    if buffers is not None:
        buffers.put("step_tokens", gen.step_tokens[:, :, 0])
        buffers.put("action", action_logits)
        buffers.put("cb0", cb0_logits)
    uniform = gen.uniforms.index_select(0, gen.call)[0]  # [2 + K]
    action = form.choose(action_logits, config.text, uniform[ACTION_CHANNEL, None])
    cb0 = _unless_forced(gen, 0, form.choose(cb0_logits, config.audio, uniform[2, None], gen.specials))
    return FirstHalf(out.hidden[:, 0], action, cb0)


def second_half(
    model: Dia2Model, gen: GenerationState, config: GenerationConfig, first: FirstHalf, buffers: CaptureBuffers | None
) -> None:
    """Draw codebooks 1 … K-1, write the frame's codes to the next grid column, move on by one step."""
    branches = gen.step_tokens.shape[0]
    uniform = gen.uniforms.index_select(0, gen.call)[0]
    main, second = gen.text.expand(branches, 2).unbind(1)  # both branches get the same text here
    codes = [first.cb0]
    seen: list[Tensor] | None = [] if buffers is not None and "dep" in buffers.rings else None
    form = form_of(model, config)
    form.begin(first.hidden, gen.decode.stage_rotation)
    for stage in range(model.depformer.stages):
        span = Span(gen.decode.depformer, gen.decode.stages[stage : stage + 1], stage + 1)
        logits = form.stage(stage, codes[-1].expand(branches), (main, second), span)
        code = form.choose(logits, config.audio, uniform[3 + stage, None])
        codes.append(_unless_forced(gen, stage + 1, code))
        if seen is not None:
            seen.append(logits)
    drawn = torch.cat(codes)  # [K]
    if buffers is not None and seen is not None:
        buffers.put("dep", torch.stack(seen))
    gen.audio_buf.index_copy_(2, gen.step + 1, drawn[None, :, None].expand(branches, -1, -1))
    gen.step += 1
    gen.call += 1


def _unless_forced(gen: GenerationState, codebook: int, drawn: Tensor) -> Tensor:
    """The code [1] that stands in `gen.forced`, or else the one that was drawn."""
    if gen.forced is None:
        return drawn
    forced = gen.forced[codebook, None]
    return torch.where(forced >= 0, forced, drawn)
