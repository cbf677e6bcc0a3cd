"""The depformer: K-1 stages a frame, stage s predicting codebook s+1 from codebook s.

Stage s uses weight set `weights_schedule[s]` for its input and attention projections; norms and MLP are
shared by all stages, embeddings and logits heads belong to one stage each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from dia2.core.cache import LayerSpan, Span, causal_mask
from dia2.core.compiled import compiled_form
from dia2.core.config import DiaConfig
from dia2.core.layers import GatedMLP, RMSNorm, Rotation, TextEmbedding, attend, rotate
from dia2.core.linear import Linear, product

HiddenBySet = Mapping[int, Tensor]  # by weight set, [B, n_embd]: the transformer's hidden state as its stages take it
Projections = tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]  # into attention, and out of it


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

    def project(self, x: Tensor, projections: Projections, rotation: Rotation | None) -> tuple[Tensor, Tensor, Tensor]:
        """Query, key and value, each [B, H, S, D], of `x` [B, S, n_embd]."""
        fused = projections[0](x).view(*x.shape[:2], 3, self.heads, self.head_dim)  # [B, S, 3, H, D]
        query, key, value = fused.transpose(1, 3).unbind(2)  # each [B, H, S, D]
        query, key = self.q_norm(query), self.k_norm(key)
        if rotation is not None:
            query, key = rotate(query, rotation), rotate(key, rotation)
        return query, key, value

    def forward(
        self,
        x: Tensor,
        projections: Projections,
        rotation: Rotation | None,
        span: LayerSpan | None,
        mask: Tensor | None,
    ) -> Tensor:
        """`x` [B, S, n_embd] of S stages → [B, S, n_embd]."""
        query, key, value = self.project(x, projections, rotation)
        if span is not None:
            key, value = span.append(key, value)
        return projections[1](attend(query, key, value, mask))


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
        rotation: Rotation | None,
        span: LayerSpan | None,
        mask: Tensor | None,
    ) -> Tensor:
        """[B, S, n_embd] → [B, S, n_embd]."""
        x = x + self.self_attention(self.pre_norm(x), projections, rotation, span, mask)
        out: Tensor = x + self.mlp(self.post_norm(x))
        return out


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

    def project_hidden(self, hidden: Tensor, *, compiled: bool = False) -> HiddenBySet:
        """What the transformer's `hidden` state [B, n_embd of the transformer] gives the stages of each weight set.

        It is the same for all stages of a set, so a frame computes it once: `compiled` through torch.compile.
        """
        project = compiled_form(_project, hidden.device.type) if compiled else _project
        return {number: project(self.depformer_in[number], hidden) for number in sorted(set(self.schedule))}

    def forward_stage(
        self,
        stage: int,
        hidden: HiddenBySet,
        code: Tensor,
        text: tuple[Tensor, Tensor] | None,
        rotation: Rotation | None,
        span: Span,
        *,
        compiled: bool = False,
    ) -> Tensor:
        """One stage of one frame.

        Args:
            stage: 0 … K-2.
            hidden: what `project_hidden` gives.
            code: [B] the token of codebook `stage`.
            text: main and second text token [B] that the machine has just emitted; used at stage 0 only.
            rotation: of position `stage`; `None` where the config has no rotary.
            span: writes slot `stage`, sees slots 0 … stage.
            compiled: run the blocks through torch.compile.

        Returns:
            Logits [B, codes] float32 of codebook stage + 1.
        """
        weight_set = self.schedule[stage]
        run, leave = DepformerBlock.__call__, _leave
        if compiled:
            run, leave = (compiled_form(part, code.device.type) for part in (DepformerBlock.forward, _leave))
        x = hidden[weight_set] + self.audio_embeds[stage](code)  # [B, n_embd]
        if stage == 0 and self.text_embed is not None and text is not None:
            x = x + self.text_embed(*text)
        x = x[:, None]  # [B, 1, n_embd]
        for number, layer in enumerate(self._blocks()):
            x = run(layer, x, layer.self_attention.projections([weight_set]), rotation, span.layer(number), None)
        return leave(self.norm, self._head(stage), x[:, 0])

    def forward_frames(
        self, hidden: Tensor, codes: Tensor, text: tuple[Tensor, Tensor] | None, rotation: Rotation | None
    ) -> Tensor:
        """All stages of N frames at once, each stage given the true codes before it (replay, training).

        Args:
            hidden: [N, n_embd of the transformer].
            codes: [N, K] tokens of each frame; the last codebook's are only a target and not looked at.
            text: main and second text token [N] of each frame.
            rotation: of positions 0 … K-2; `None` where the config has no rotary.

        Returns:
            Logits [N, K-1, codes] float32 of codebooks 1 … K-1.
        """
        if not self.stages:  # one codebook, which the transformer draws
            return hidden.new_zeros((len(hidden), 0, self.num_codes), dtype=torch.float32)
        embedded = torch.stack([table(codes[:, s]) for s, table in enumerate(self.audio_embeds)], dim=1)
        by_set = self.project_hidden(hidden)
        x = embedded + torch.stack([by_set[number] for number in self.schedule], dim=1)  # [N, K-1, n_embd]
        if self.text_embed is not None and text is not None:
            x = torch.cat((x[:, :1] + self.text_embed(*text)[:, None], x[:, 1:]), dim=1)
        mask = causal_mask(0, self.stages, x.device)
        for layer in self._blocks():
            x = layer(x, layer.self_attention.projections(self.schedule), rotation, None, mask)
        return torch.stack([_leave(self.norm, self._head(s), x[:, s]) for s in range(self.stages)], dim=1)

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


def weight_sets(config: DiaConfig) -> int:
    """How many sets of input and attention projections the depformer has."""
    return max(config.weights_schedule, default=-1) + 1


def per_stage(linears: nn.ModuleList, sets: Sequence[int], x: Tensor) -> Tensor:
    """Apply to stage s of `x` [B, S, width] the linear map of its weight set `sets[s]`."""
    return torch.stack([linears[weight_set](x[:, s]) for s, weight_set in enumerate(sets)], dim=1)
