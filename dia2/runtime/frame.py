"""A frame of the main loop in two halves, with one host decision between them.

The first half runs the transformer and draws the action and codebook 0; the host's state machine turns the
action into two text tokens; the second half draws the other codebooks. Inside a half nothing waits for the
device and every tensor keeps its address, so a half can be captured as one CUDA graph.

The halves are those of one run or of several side by side: what depends on that they ask of the `FrameState`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from torch import Tensor

from dia2.core.acts import Writes
from dia2.core.cache import Span
from dia2.core.layers import Rotation
from dia2.core.model import DecodeState, Dia2Model
from dia2.runtime.capture import Taps
from dia2.runtime.forms import Form
from dia2.runtime.sampler import ACTION_CHANNEL
from dia2.runtime.state_machine import TokenIds

if TYPE_CHECKING:
    from dia2.runtime.graphs import Lender
    from dia2.runtime.lease import Lease


class FrameState(Protocol):
    """What the halves of a frame ask of the tensors of one run, or of N side by side.

    Leading dimensions N are there for several runs only. A lane is a branch of a run: there are B, or N · B.
    """

    step_tokens: Tensor  # [lanes, 2 + K, 1] int64
    decode: DecodeState
    specials: Tensor  # [audio vocabulary] bool
    forced: Tensor | None  # [N, K] int64: codes that this frame must take, −1: drawn; `None`: all are drawn
    writes: Writes | None  # activations that are changed; `None`: none

    @property
    def runs(self) -> tuple[int, ...]:
        """(N,), or () for one run."""

    @property
    def moving(self) -> tuple[Tensor, ...]:
        """All that a frame changes, but for the caches."""

    def fill(self, ids: TokenIds) -> None:
        """Put the frame that the transformer is to see into `step_tokens`."""

    def rotation(self) -> Rotation:
        """Of the rotary position: [1, D], or [lanes, 1, D] where each has its own."""

    def span(self, slots: Tensor | None = None) -> Span:
        """The cache slots to write and to see.

        Args:
            slots: the numbers of all there are, which are read under a mask then, so that frames differ in nothing that
                the host knows; `None`: no more are read than need be.
        """

    def chance(self) -> Tensor:
        """The frame's uniforms [N, 2 + K]."""

    def texts(self) -> tuple[Tensor, Tensor]:
        """Main and second text token, for each lane: both branches get the same here."""

    def lanes(self, tokens: Tensor) -> Tensor:
        """A token [N, 1] for each run as one for each lane."""

    def write(self, codes: Tensor) -> None:
        """Write the frame's codes [N, K] to the next grid column, and move on by one step."""


@dataclass
class GenerationState:
    """All tensors of a run: a `FrameState`. They are changed in place; only a batch that moves a row replaces them."""

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
    writes: Writes | None = None  # activations that are changed; `None`: none
    calls: int = 0  # `call`, on the host
    last_step: int = -1  # last step that was finished; −1 before the first
    lease: Lease[Lender] | None = None  # of whose tensors these are; `None`: the run's own

    def drop(self) -> None:
        """Let go of tensors that are another run's from now on: an error's traceback may hold a run for long."""
        for name in ("step_tokens", "audio_buf", "decode", "text", "step", "call", "uniforms", "forced"):
            delattr(self, name)

    @property
    def runs(self) -> tuple[int, ...]:
        """See `FrameState`."""
        return ()

    @property
    def moving(self) -> tuple[Tensor, ...]:
        """See `FrameState`."""
        return self.step_tokens, self.audio_buf, self.text, self.step, self.call

    def fill(self, ids: TokenIds) -> None:
        """See `FrameState`."""
        self.step_tokens[0, :2, 0] = self.text  # the unconditional branch keeps its zero and pad
        self.step_tokens[:, 2:] = audio_inputs(self, ids, self.step)

    def rotation(self) -> Rotation:
        """See `FrameState`."""
        cos, sin = self.decode.rotation
        return cos.index_select(0, self.step), sin.index_select(0, self.step)

    def span(self, slots: Tensor | None = None) -> Span:
        """See `FrameState`."""
        cache = self.decode.transformer
        if slots is None:
            return Span(cache, self.call, self.calls + 1)
        return Span(cache, self.call, len(slots), slots[None, :] <= self.call)  # mask: [1, slots]

    def chance(self) -> Tensor:
        """See `FrameState`."""
        return self.uniforms.index_select(0, self.call)[0]

    def texts(self) -> tuple[Tensor, Tensor]:
        """See `FrameState`."""
        main, second = self.text.expand(len(self.step_tokens), 2).unbind(1)
        return main, second

    def lanes(self, tokens: Tensor) -> Tensor:
        """See `FrameState`."""
        return tokens.expand(len(self.step_tokens))

    def write(self, codes: Tensor) -> None:
        """See `FrameState`."""
        self.audio_buf.index_copy_(2, self.step + 1, codes[None, :, None].expand(len(self.audio_buf), -1, -1))
        self.step += 1
        self.call += 1


class FirstHalf(NamedTuple):
    """What the first half hands on."""

    hidden: Tensor  # [lanes, n_embd]
    action: Tensor  # [N, 1] int64, drawn
    cb0: Tensor  # [N, 1] int64, drawn


def audio_inputs(gen: GenerationState, ids: TokenIds, columns: Tensor) -> Tensor:
    """The audio channels [B, K, T] of the frames at grid `columns` [T]: BOS where there is no code (yet)."""
    cells = gen.audio_buf.index_select(2, columns)
    missing = (columns < gen.delays[:, None]) | (cells == ids.ungenerated)
    return cells.masked_fill(missing, ids.audio_bos)


def first_half(form: Form, gen: FrameState, ids: TokenIds, span: Span, buffers: Taps | None) -> FirstHalf:
    """Fill the frame, run the transformer, draw the action and codebook 0."""
    gen.fill(ids)
    out = form.transformer(gen.step_tokens, gen.rotation(), span, gen.writes)
    action_logits, cb0_logits = out.action_logits[:, 0], out.cb0_logits[:, 0]  # [lanes, V]
    if buffers is not None:
        buffers.put("step_tokens", gen.step_tokens[:, :, 0])
        buffers.put("action", action_logits)
        buffers.put("cb0", cb0_logits)
    uniform = gen.chance()
    action = form.choose(action_logits, "text", uniform[..., ACTION_CHANNEL, None])
    cb0 = _unless_forced(gen, 0, form.choose(cb0_logits, "audio", uniform[..., 2, None], gen.specials))
    return FirstHalf(out.hidden[:, 0], action, cb0)


def second_half(form: Form, model: Dia2Model, gen: FrameState, first: FirstHalf, buffers: Taps | None) -> None:
    """Draw codebooks 1 … K-1, write the frame's codes to the next grid column, move on by one step."""
    uniform, texts = gen.chance(), gen.texts()
    codes = [first.cb0]
    seen: list[Tensor] | None = [] if buffers is not None and buffers.wants("dep") else None
    form.begin(first.hidden, gen.decode.stage_rotation)
    for stage in range(model.depformer.stages):
        span = Span(gen.decode.depformer, gen.decode.stages[stage : stage + 1], stage + 1)
        logits = form.stage(stage, gen.lanes(codes[-1]), texts, span, gen.writes)
        code = form.choose(logits, "audio", uniform[..., 3 + stage, None])
        codes.append(_unless_forced(gen, stage + 1, code))
        if seen is not None:
            seen.append(logits)
    if buffers is not None and seen is not None:
        buffers.put("dep", torch.stack(seen), lanes=1)
    gen.write(torch.cat(codes, dim=-1))


def _unless_forced(gen: FrameState, codebook: int, drawn: Tensor) -> Tensor:
    """The code [N, 1] that stands in `gen.forced`, or else the one that was drawn."""
    if gen.forced is None:
        return drawn
    forced = gen.forced[..., codebook, None]
    return torch.where(forced >= 0, forced, drawn)
