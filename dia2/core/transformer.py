"""The transformer: one call a frame over both text streams and all delayed codebooks."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from dia2.config import DiaConfig
from dia2.core.cache import Span
from dia2.core.layers import GatedMLP, RMSNorm, Rotation, TextEmbedding, attend, rotate


class TransformerOutput(NamedTuple):
    """What one pass gives for each of its T frames."""

    hidden: Tensor  # [B, T, n_embd], after the final norm: the depformer's input
    action_logits: Tensor  # [B, T, actions] float32
    cb0_logits: Tensor  # [B, T, audio vocabulary] float32


class Attention(nn.Module):
    """Grouped-query self-attention with per-head RMSNorm on q and k before rotary."""

    def __init__(self, config: DiaConfig, layer: int, dtype: torch.dtype | None) -> None:
        super().__init__()
        block, eps = config.model.decoder, config.model.normalization_layer_epsilon
        self.layer = layer
        self.head_dim = block.gqa_head_dim
        query, kv = block.gqa_query_heads * block.gqa_head_dim, block.kv_heads * block.gqa_head_dim
        self.q_proj = nn.Linear(block.n_embd, query, bias=False, dtype=dtype)
        self.k_proj = nn.Linear(block.n_embd, kv, bias=False, dtype=dtype)
        self.v_proj = nn.Linear(block.n_embd, kv, bias=False, dtype=dtype)
        self.o_proj = nn.Linear(query, block.n_embd, bias=False, dtype=dtype)
        self.q_norm = RMSNorm(block.gqa_head_dim, eps, dtype)
        self.k_norm = RMSNorm(block.gqa_head_dim, eps, dtype)

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], -1, self.head_dim)  # [B, T, H, D]

    def project(self, x: Tensor, rotation: Rotation) -> tuple[Tensor, Tensor, Tensor]:
        """Query [B, Hq, T, D], key and value [B, Hkv, T, D] of `x` [B, T, n_embd]."""
        query = rotate(self.q_norm(self._heads(self.q_proj(x))).transpose(1, 2), rotation)
        key = rotate(self.k_norm(self._heads(self.k_proj(x))).transpose(1, 2), rotation)
        return query, key, self._heads(self.v_proj(x)).transpose(1, 2)

    def forward(self, x: Tensor, rotation: Rotation, span: Span | None, mask: Tensor | None) -> Tensor:
        """[B, T, n_embd] → [B, T, n_embd]."""
        query, key, value = self.project(x, rotation)
        if span is not None:
            key, value = span.append(self.layer, key, value)
        out: Tensor = self.o_proj(attend(query, key, value, mask))
        return out


class Block(nn.Module):
    """Pre-norm residual block: attention, then MLP."""

    def __init__(self, config: DiaConfig, layer: int, dtype: torch.dtype | None) -> None:
        super().__init__()
        block, eps = config.model.decoder, config.model.normalization_layer_epsilon
        self.pre_norm = RMSNorm(block.n_embd, eps, dtype)
        self.attn = Attention(config, layer, dtype)
        self.post_norm = RMSNorm(block.n_embd, eps, dtype)
        self.mlp = GatedMLP(block.n_embd, block.n_hidden, config.model.linear.mlp_activations, dtype)

    def forward(self, x: Tensor, rotation: Rotation, span: Span | None, mask: Tensor | None) -> Tensor:
        """[B, T, n_embd] → [B, T, n_embd]."""
        x = x + self.attn(self.pre_norm(x), rotation, span, mask)
        out: Tensor = x + self.mlp(self.post_norm(x))
        return out


class TransformerDecoder(nn.Module):
    """Text and audio of a frame in; hidden state, action logits and codebook-0 logits out."""

    def __init__(self, config: DiaConfig, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        data, block = config.data, config.model.decoder
        self.audio_embeds = nn.ModuleList(
            nn.Embedding(data.audio_vocab_size, block.n_embd, dtype=dtype) for _ in range(data.num_codebooks)
        )
        self.text_embed = TextEmbedding(
            data.text_vocab_size, block.low_rank_dim or block.n_embd, block.n_embd, data.text_pad_token_id, dtype
        )
        self.layers = nn.ModuleList(Block(config, layer, dtype) for layer in range(block.n_layer))
        self.norm = RMSNorm(block.n_embd, config.model.normalization_layer_epsilon, dtype)
        # Heads are float32 in every mode: what is drawn from must not be rounded.
        self.action_head = nn.Linear(block.n_embd, data.action_vocab_size, bias=False, dtype=torch.float32)
        self.cb0_head = nn.Linear(block.n_embd, data.audio_vocab_size, bias=False, dtype=torch.float32)

    def embed(self, tokens: Tensor) -> Tensor:
        """Embed frames `tokens` [B, C, T] (main text, second text, K codes) as [B, T, n_embd]."""
        x: Tensor = self.text_embed(tokens[:, 0], tokens[:, 1])
        for k, table in enumerate(self.audio_embeds):
            x = x + table(tokens[:, 2 + k])
        return x

    def forward(
        self, tokens: Tensor, rotation: Rotation, span: Span | None = None, mask: Tensor | None = None
    ) -> TransformerOutput:
        """Run T frames at once; T = 1 while generating, more for prefix warm-up, replay and training.

        Args:
            tokens: [B, C, T] int64.
            rotation: of the T rotary positions, which need not be the cache slots.
            span: where keys and values go and what is seen; none: the T frames see only one another.
            mask: [T, T] bool for the case without `span` (with one, its own mask counts); none: no masking.
        """
        if span is not None:
            mask = span.mask
        x = self.embed(tokens)
        for layer in self.layers:
            x = layer(x, rotation, span, mask)
        hidden = self.norm(x)
        exact = hidden.float()
        return TransformerOutput(hidden, self.action_head(exact), self.cb0_head(exact))
