"""The depformer: K-1 stages a frame, stage s predicting codebook s+1 from codebook s.

Stage s uses weight set `weights_schedule[s]` for its input and attention projections; norms and MLP are
shared by all stages, embeddings and logits heads belong to one stage each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from dia2.core.acts import BlockWrites, Written, at_stage, written
from dia2.core.cache import LayerSpan, Span, additive_mask, causal_mask
from dia2.core.compiled import compiled_form
from dia2.core.config import DiaConfig
from dia2.core.layers import (
    GatedMLP,
    HeadTurn,
    RMSNorm,
    Rotation,
    TextEmbedding,
    attend,
    head_turns,
    may_overwrite,
    turn_heads,
)
from dia2.core.linear import Linear, product

Projections = tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]  # into attention, and out of it


class FrameInputs(NamedTuple):
    """What the stages of one frame share."""

    hidden: Mapping[int, Tensor]  # by weight set, [B, n_embd]: the transformer's hidden state as its stages take it
    turns: Sequence[Sequence[HeadTurn]]  # by layer and stage: how queries and keys are turned


class ScheduledAttention(nn.Module):
    """Self-attention over the stages so far, with one fused q/k/v projection per weight set."""

    def __init__(self, config: DiaConfig, dtype: torch.dtype | None) -> None:
        super().__init__()
        block, eps = config.model.depformer, config.model.normalization_layer_epsilon
        self.heads, self.head_dim = block.gqa_query_heads, block.gqa_head_dim
        inner, sets = self.heads * self.head_dim, weight_sets(config)
        self.in_proj = nn.ModuleList(Linear(block.n_embd, 3 * inner, dtype) for _ in range(sets))
        self.out_proj = nn.ModuleList(Linear(inner, block.n_embd, dtype) for _ in range(sets))
        self.q_norm = RMSNorm(self.head_dim, eps, dtype)
        self.k_norm = RMSNorm(self.head_dim, eps, dtype)

    def projections(self, sets: Sequence[int]) -> Projections:
        """Of stages whose weight sets are `sets`: both map [B, S, …] to [B, S, …]."""
        if len(sets) == 1:
            return self.in_proj[sets[0]], self.out_proj[sets[0]]
        return partial(per_stage, self.in_proj, sets), partial(per_stage, self.out_proj, sets)

    def project(self, x: Tensor, projections: Projections, turn: HeadTurn) -> tuple[Tensor, Tensor]:
        """Query [B, H, S, D], keys and values [2, B, H, S, D] of `x` [B, S, n_embd]."""
        heads = projections[0](x).view(*x.shape[:2], 3, self.heads, self.head_dim)  # [B, S, 3, H, D]
        heads = turn_heads(heads, turn, self.q_norm.eps, overwrite=may_overwrite(heads, projections[0]))
        query, both = torch.split(heads, [1, 2], dim=2)
        return query[:, :, 0].transpose(1, 2), both.permute(2, 0, 3, 1, 4)

    def forward(
        self,
        x: Tensor,
        projections: Projections,
        turn: HeadTurn,
        span: LayerSpan | None,
        mask: Tensor | None,
        heads: Written | None = None,
    ) -> Tensor:
        """`x` [B, S, n_embd] of S stages → [B, S, n_embd]; `heads`: what is written before the output projection."""
        query, both = self.project(x, projections, turn)
        if span is not None:
            both = span.append(both)
        mixed = attend(query, both[0], both[1], mask)
        if heads is not None:
            mixed = heads.apply(mixed.view(*mixed.shape[:2], self.heads, self.head_dim)).flatten(2)
        return projections[1](mixed)


class DepformerBlock(nn.Module):
    """Pre-norm residual block: scheduled attention, then the MLP that all stages share."""

    def __init__(self, config: DiaConfig, dtype: torch.dtype | None) -> None:
        super().__init__()
        block, eps = config.model.depformer, config.model.normalization_layer_epsilon
        self.pre_norm = RMSNorm(block.n_embd, eps, dtype)
        self.self_attention = ScheduledAttention(config, dtype)
        self.post_norm = RMSNorm(block.n_embd, eps, dtype)
        self.mlp = GatedMLP(block.n_embd, block.n_hidden, block.mlp_activations, dtype)

    def forward(
        self,
        x: Tensor,
        projections: Projections,
        turn: HeadTurn,
        span: LayerSpan | None,
        mask: Tensor | None,
        writes: BlockWrites | None = None,
    ) -> Tensor:
        """[B, S, n_embd] → [B, S, n_embd]."""
        if writes is None:
            x = x + self.self_attention(self.pre_norm(x), projections, turn, span, mask)
            out: Tensor = x + self.mlp(self.post_norm(x))
            return out
        x = x + self.self_attention(self.pre_norm(x), projections, turn, span, mask, heads=writes.heads)
        return written(x + self.mlp(self.post_norm(x)), writes.resid)


class Depformer(nn.Module):
    """Codebooks 1 … K-1 of one frame, from the transformer's hidden state and codebook 0."""

    def __init__(self, config: DiaConfig, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        data, block = config.data, config.model.depformer
        self.schedule = config.weights_schedule
        # Pad and BOS stand at the vocabulary's end: no stage may predict them.
        self.num_codes = min(data.audio_pad_token_id, data.audio_bos_token_id)
        self.audio_embeds = nn.ModuleList(
            nn.Embedding(data.audio_vocab_size, block.n_embd, dtype=dtype) for _ in self.schedule
        )
        self.text_embed = (
            TextEmbedding(data.text_vocab_size, block.n_embd, block.n_embd, data.text_pad_token_id, dtype)
            if block.text_embedding
            else None
        )
        self.depformer_in = nn.ModuleList(
            Linear(config.model.decoder.n_embd, block.n_embd, dtype) for _ in range(weight_sets(config))
        )
        self.layers = nn.ModuleList(DepformerBlock(config, dtype) for _ in range(block.n_layer))
        self.norm = RMSNorm(block.n_embd, config.model.normalization_layer_epsilon, dtype)
        self.logits = nn.ModuleList(Linear(block.n_embd, data.audio_vocab_size, torch.float32) for _ in self.schedule)

    @property
    def stages(self) -> int:
        """K-1."""
        return len(self.schedule)

    def begin(self, hidden: Tensor, rotation: Rotation | None, *, compiled: bool = False) -> FrameInputs:
        """Compute once what is the same for many stages of a frame.

        Args:
            hidden: [B, n_embd of the transformer].
            rotation: of positions 0 … K-2; `None` where the config has no rotary.
            compiled: run the products through torch.compile.
        """
        turns = [
            [HeadTurn(*stage) for stage in zip(torch.split(straight, 1), _split(crossed, self.stages), strict=True)]
            for straight, crossed in self._turns(rotation)
        ]
        return FrameInputs(self._hidden_by_set(hidden, compiled=compiled), turns)

    def forward_stage(
        self,
        stage: int,
        shared: FrameInputs,
        code: Tensor,
        text: tuple[Tensor, Tensor] | None,
        span: Span,
        *,
        compiled: bool = False,
        writes: Sequence[BlockWrites | None] = (),
    ) -> Tensor:
        """One stage of one frame.

        Args:
            stage: 0 … K-2.
            shared: what `begin` gives.
            code: [B] the token of codebook `stage`.
            text: main and second text token [B] that the machine has just emitted; used at stage 0 only.
            span: writes slot `stage`, sees slots 0 … stage.
            compiled: run the blocks through torch.compile.
            writes: by layer, activations that are changed, of all stages side by side; none: nothing is.

        Returns:
            Logits [B, codes] float32 of codebook stage + 1.
        """
        weight_set = self.schedule[stage]
        run, leave = DepformerBlock.__call__, _leave
        if compiled:
            run, leave = (compiled_form(part, code.device.type) for part in (DepformerBlock.forward, _leave))
        x = shared.hidden[weight_set] + self.audio_embeds[stage](code)  # [B, n_embd]
        if stage == 0 and self.text_embed is not None and text is not None:
            x = x + self.text_embed(*text)
        x = x[:, None]  # [B, 1, n_embd]
        for number, layer in enumerate(self._blocks()):
            turn = shared.turns[number][stage]
            projections, part = layer.self_attention.projections([weight_set]), span.layer(number)
            if not writes:
                x = run(layer, x, projections, turn, part, None)
            else:
                x = run(layer, x, projections, turn, part, None, at_stage(writes[number], stage))
        return leave(self.norm, self._head(stage), x[:, 0])

    def forward_frames(
        self,
        hidden: Tensor,
        codes: Tensor,
        text: tuple[Tensor, Tensor] | None,
        rotation: Rotation | None,
        writes: Sequence[BlockWrites | None] = (),
    ) -> Tensor:
        """All stages of N frames at once, each stage given the true codes before it (replay, training).

        Args:
            hidden: [N, n_embd of the transformer].
            codes: [N, K] tokens of each frame; the last codebook's are only a target and not looked at.
            text: main and second text token [N] of each frame.
            rotation: of positions 0 … K-2; `None` where the config has no rotary.
            writes: by layer, activations that are changed [N, K-1, …], or read; none: nothing is.

        Returns:
            Logits [N, K-1, codes] float32 of codebooks 1 … K-1.
        """
        if not self.stages:  # one codebook, which the transformer draws
            return hidden.new_zeros((len(hidden), 0, self.num_codes), dtype=torch.float32)
        embedded = torch.stack([table(codes[:, s]) for s, table in enumerate(self.audio_embeds)], dim=1)
        by_set = self._hidden_by_set(hidden)
        x = embedded + torch.stack([by_set[number] for number in self.schedule], dim=1)  # [N, K-1, n_embd]
        if self.text_embed is not None and text is not None:
            x = torch.cat((x[:, :1] + self.text_embed(*text)[:, None], x[:, 1:]), dim=1)
        mask = additive_mask(causal_mask(0, self.stages, x.device), 1, x.dtype)
        for number, (layer, turn) in enumerate(zip(self._blocks(), self._turns(rotation), strict=True)):
            given = writes[number] if writes else None
            x = layer(x, layer.self_attention.projections(self.schedule), turn, None, mask, given)
        return torch.stack([_leave(self.norm, self._head(s), x[:, s]) for s in range(self.stages)], dim=1)

    def _hidden_by_set(self, hidden: Tensor, *, compiled: bool = False) -> dict[int, Tensor]:
        """By weight set, what its stages take of `hidden` [B, n_embd of the transformer]: [B, n_embd]."""
        project = compiled_form(_project, hidden.device.type) if compiled else _project
        return {number: project(self.depformer_in[number], hidden) for number in sorted(set(self.schedule))}

    def _turns(self, rotation: Rotation | None) -> list[HeadTurn]:
        """What each layer's queries and keys of all stages are turned by."""
        norms = [(layer.self_attention.q_norm, layer.self_attention.k_norm) for layer in self._blocks()]
        return head_turns(norms, 1, rotation, self.stages)

    def _blocks(self) -> Iterable[DepformerBlock]:
        return cast(Iterable[DepformerBlock], self.layers)

    def _head(self, stage: int) -> Tensor:
        """Weights [codes, n_embd] float32 of the real codes only."""
        weight: Tensor = self.logits[stage].weight  # type: ignore[assignment]  # a Linear's weight is a tensor
        return weight[: self.num_codes]


def _project(into: nn.Module, hidden: Tensor) -> Tensor:
    """[B, n_embd] of the transformer's hidden state."""
    out: Tensor = into(hidden)
    return out


def _leave(norm: nn.Module, head: Tensor, x: Tensor) -> Tensor:
    """Logits [B, codes] float32 of a stage's last `x` [B, n_embd]."""
    return product(norm(x).float(), head)


def _split(crossed: Tensor | None, stages: int) -> Sequence[Tensor | None]:
    return [None] * stages if crossed is None else torch.split(crossed, 1)


def weight_sets(config: DiaConfig) -> int:
    """How many sets of input and attention projections the depformer has."""
    return max(config.weights_schedule, default=-1) + 1


def per_stage(linears: nn.ModuleList, sets: Sequence[int], x: Tensor) -> Tensor:
    """Apply to stage s of `x` [B, S, width] the linear map of its weight set `sets[s]`."""
    return torch.stack([linears[weight_set](x[:, s]) for s, weight_set in enumerate(sets)], dim=1)
