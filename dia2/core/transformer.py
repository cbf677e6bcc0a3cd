"""The transformer: one call a frame over both text streams and all delayed codebooks."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from dia2.core.acts import BlockWrites, Writes, Written, written
from dia2.core.cache import LayerSpan, Span, additive_mask
from dia2.core.compiled import compiled_form
from dia2.core.config import DiaConfig
from dia2.core.layers import (
    CodeEmbedding,
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
from dia2.core.linear import Linear


class TransformerOutput(NamedTuple):
    """What one pass gives for each of its T frames."""

    hidden: Tensor  # [B, T, n_embd], after the final norm: the depformer's input
    action_logits: Tensor  # [B, T, actions] float32
    cb0_logits: Tensor  # [B, T, audio vocabulary] float32


class Attention(nn.Module):
    """Grouped-query self-attention with per-head RMSNorm on q and k before rotary.

    The three projections are one matrix here and three tensors in a state dict, as in the published files.
    """

    def __init__(self, config: DiaConfig, dtype: torch.dtype | None) -> None:
        super().__init__()
        block, eps = config.model.decoder, config.model.normalization_layer_epsilon
        self.head_dim = block.gqa_head_dim
        self.groups = block.gqa_query_heads // block.kv_heads  # query heads for each key head
        self.heads = (block.gqa_query_heads, block.kv_heads, block.kv_heads)  # of query, key and value
        self.qkv_proj = Linear(block.n_embd, sum(self.heads) * self.head_dim, dtype)
        self.o_proj = Linear(self.heads[0] * self.head_dim, block.n_embd, dtype)
        self.q_norm = RMSNorm(block.gqa_head_dim, eps, dtype)
        self.k_norm = RMSNorm(block.gqa_head_dim, eps, dtype)
        self.register_state_dict_post_hook(_split_projections)  # type: ignore[no-untyped-call]  # torch's own
        self.register_load_state_dict_pre_hook(_join_projections)  # type: ignore[no-untyped-call]  # likewise

    def project(self, x: Tensor, turn: HeadTurn) -> tuple[Tensor, Tensor]:
        """Query [B, Hq, T, D], keys and values [2, B, Hkv, T, D] of `x` [B, T, n_embd]."""
        heads = self.qkv_proj(x).view(*x.shape[:-1], -1, self.heads[1], self.head_dim)  # [B, T, G + 2, Hkv, D]
        heads = turn_heads(heads, turn, self.q_norm.eps, overwrite=may_overwrite(heads, self.qkv_proj))
        query, both = torch.split(heads, [self.groups, 2], dim=2)
        return query.flatten(2, 3).transpose(1, 2), both.permute(2, 0, 3, 1, 4)

    def forward(
        self, x: Tensor, turn: HeadTurn, span: LayerSpan | None, mask: Tensor | None, heads: Written | None = None
    ) -> Tensor:
        """[B, T, n_embd] → [B, T, n_embd]; `heads`: what is written before the output projection."""
        query, both = self.project(x, turn)
        if span is not None:
            both = span.append(both)
        mixed = attend(query, both[0], both[1], mask)
        if heads is not None:
            mixed = heads.apply(mixed.view(*mixed.shape[:2], -1, self.head_dim)).flatten(2)
        out: Tensor = self.o_proj(mixed)
        return out


_PROJECTIONS = ("q_proj", "k_proj", "v_proj")


def _split_projections(module: Attention, state: dict[str, Tensor], prefix: str, _: object) -> None:
    """The published names, each a view of its rows: what is copied into one is loaded."""
    fused = state.pop(f"{prefix}qkv_proj.weight")
    rows = [heads * module.head_dim for heads in module.heads]
    for name, part in zip(_PROJECTIONS, torch.split(fused, rows), strict=True):
        state[f"{prefix}{name}.weight"] = part


def _join_projections(module: Attention, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    names = [f"{prefix}{name}.weight" for name in _PROJECTIONS]
    if all(name in state for name in names):
        state[f"{prefix}qkv_proj.weight"] = torch.cat([state.pop(name) for name in names])


class Block(nn.Module):
    """Pre-norm residual block: attention, then MLP."""

    def __init__(self, config: DiaConfig, dtype: torch.dtype | None) -> None:
        super().__init__()
        block, eps = config.model.decoder, config.model.normalization_layer_epsilon
        self.pre_norm = RMSNorm(block.n_embd, eps, dtype)
        self.attn = Attention(config, dtype)
        self.post_norm = RMSNorm(block.n_embd, eps, dtype)
        self.mlp = GatedMLP(block.n_embd, block.n_hidden, config.model.linear.mlp_activations, dtype)

    def forward(
        self,
        x: Tensor,
        turn: HeadTurn,
        span: LayerSpan | None,
        mask: Tensor | None,
        writes: BlockWrites | None = None,
    ) -> Tensor:
        """[B, T, n_embd] → [B, T, n_embd]."""
        if writes is None:
            x = x + self.attn(self.pre_norm(x), turn, span, mask)
            out: Tensor = x + self.mlp(self.post_norm(x))
            return out
        x = x + written(self.attn(self.pre_norm(x), turn, span, mask, heads=writes.heads), writes.attn)
        return written(x + written(self.mlp(self.post_norm(x)), writes.mlp), writes.resid)


class TransformerDecoder(nn.Module):
    """Text and audio of a frame in; hidden state, action logits and codebook-0 logits out."""

    def __init__(self, config: DiaConfig, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        data, block = config.data, config.model.decoder
        self._groups = block.gqa_query_heads // block.kv_heads
        self.audio_embeds = CodeEmbedding(data.num_codebooks, data.audio_vocab_size, block.n_embd, dtype)
        self.text_embed = TextEmbedding(
            data.text_vocab_size, block.low_rank_dim or block.n_embd, block.n_embd, data.text_pad_token_id, dtype
        )
        self.layers = nn.ModuleList(Block(config, dtype) for _ in range(block.n_layer))
        self.norm = RMSNorm(block.n_embd, config.model.normalization_layer_epsilon, dtype)
        # Heads are float32 in every mode: what is drawn from must not be rounded.
        self.action_head = Linear(block.n_embd, data.action_vocab_size, torch.float32)
        self.cb0_head = Linear(block.n_embd, data.audio_vocab_size, torch.float32)

    def embed(self, tokens: Tensor) -> Tensor:
        """Embed frames `tokens` [B, C, T] (main text, second text, K codes) as [B, T, n_embd]."""
        x: Tensor = self.text_embed(tokens[:, 0], tokens[:, 1]) + self.audio_embeds(tokens[:, 2:])
        return x

    def forward(
        self,
        tokens: Tensor,
        rotation: Rotation,
        span: Span | None = None,
        mask: Tensor | None = None,
        *,
        compiled: bool = False,
        writes: Writes | None = None,
    ) -> TransformerOutput:
        """Run T frames at once; T = 1 while generating, more for prefix warm-up, replay and training.

        Args:
            tokens: [B, C, T] int64.
            rotation: of the T rotary positions, which need not be the cache slots.
            span: where keys and values go and what is seen; `None`: the T frames see only one another.
            mask: [T, T] bool, true where a frame may look, for the case without `span` (with one, its own mask
                counts); `None`: no masking.
            compiled: run the blocks through torch.compile.
            writes: activations that are changed; `None`: none.
        """
        if span is not None:
            mask = span.mask
        x = self.embed(tokens)
        if writes is not None:
            x = written(x, writes.embed)
        if mask is not None:
            mask = additive_mask(mask, self._groups, x.dtype)
        run = compiled_form(Block.forward, x.device.type) if compiled else Block.__call__
        for number, (layer, turn) in enumerate(zip(self.layers, self._turns(rotation), strict=True)):
            part = None if span is None else span.layer(number)
            if writes is None:
                x = run(layer, x, turn, part, mask)
            else:
                x = run(layer, x, turn, part, mask, writes.layer(number))
        hidden = self.norm(x)
        if writes is not None:
            hidden = written(hidden, writes.hidden)
        exact = hidden.float()
        return TransformerOutput(hidden, self.action_head(exact), self.cb0_head(exact))

    def _turns(self, rotation: Rotation) -> list[HeadTurn]:
        """What each layer's queries and keys are turned by."""
        attentions = (cast(Block, layer).attn for layer in self.layers)
        norms = [(attention.q_norm, attention.k_norm) for attention in attentions]
        return head_turns(norms, self._groups, rotation, len(rotation[0]))
