"""The network: an encoder over text bytes, and a decoder over delayed audio channels that attends to it.

Pre-norm RMSNorm blocks without biases; rotary positions in float32; attention scores are not scaled; the MLP is
`wo(silu(gate) · up)`. The encoder looks both ways. A decoder layer attends to the rows before it, then to the text.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dia.config import DecoderConfig, DiaConfig, EncoderConfig
from dia2.core.compiled import compiled_form
from dia2.core.layers import GatedMLP, RMSNorm, Rotation, rotate
from dia2.core.linear import Linear

if TYPE_CHECKING:
    from dia.state import DecoderInferenceState, EncoderInferenceState, KVCache


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Grouped-query attention without a scale.

    Args:
        query: [rows, Hq, T, D]; head h reads kv head h // (Hq / Hkv).
        key: [rows, Hkv, L, D].
        value: [rows, Hkv, L, D].
        mask: [rows or 1, T or 1, L] bool, true where a query may look; `None`: everywhere.

    Returns:
        [rows, T, Hq · D].
    """
    rows, heads, steps, dim = query.shape
    groups = heads // key.shape[1]
    # The heads of a group become rows of one product, so keys and values are never copied per query head.
    query = query.reshape(rows, key.shape[1], groups * steps, dim)
    if mask is not None:
        if mask.shape[1] > 1:
            mask = mask.repeat(1, groups, 1)  # [rows, groups · T, L]
        mask = mask[:, None]
    out = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=1.0)
    return out.reshape(rows, heads, steps, dim).transpose(1, 2).reshape(rows, steps, heads * dim)


class Attention(nn.Module):
    """What self-attention and cross-attention have in common: heads, and the projection out of them."""

    def __init__(self, heads: int, kv_heads: int, head_dim: int, width: int, dtype: torch.dtype | None) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = heads, kv_heads, head_dim
        self.o_proj = Linear(heads * head_dim, width, dtype)

    def split(self, x: Tensor) -> Tensor:
        """Heads of `x` [rows, T, heads · D]: [rows, heads, T, D]."""
        return x.view(*x.shape[:-1], -1, self.head_dim).transpose(1, 2)


class SelfAttention(Attention):
    """Rows attend to rows; the three projections are one matrix."""

    def __init__(self, config: EncoderConfig | DecoderConfig, dtype: torch.dtype | None) -> None:
        heads, kv_heads, width = config.num_attention_heads, config.num_key_value_heads, config.hidden_size
        super().__init__(heads, kv_heads, config.head_dim, width, dtype)
        self.qkv_proj = Linear(width, (heads + 2 * kv_heads) * config.head_dim, dtype)

    def project(self, x: Tensor, rotation: Rotation) -> tuple[Tensor, Tensor, Tensor]:
        """Query [rows, Hq, T, D], key and value [rows, Hkv, T, D] of `x` [rows, T, width]."""
        heads = [self.heads, self.kv_heads, self.kv_heads]
        query, key, value = torch.split(self.split(self.qkv_proj(x)), heads, dim=1)
        # Products with the float32 table are float32, whatever the dtype of x.
        return rotate(query, rotation).to(x.dtype), rotate(key, rotation).to(x.dtype), value


class CrossAttention(Attention):
    """Rows attend to the text; keys and values are computed once a run, without rotary positions on either side."""

    def __init__(self, config: DecoderConfig, dtype: torch.dtype | None) -> None:
        heads, kv_heads = config.cross_num_attention_heads, config.cross_num_key_value_heads
        head_dim = config.cross_head_dim
        super().__init__(heads, kv_heads, head_dim, config.hidden_size, dtype)
        self.q_proj = Linear(config.hidden_size, heads * head_dim, dtype)
        self.kv_proj = Linear(config.cross_hidden_size, 2 * kv_heads * head_dim, dtype)

    def keys_values(self, text: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values [rows, heads, S, D] of the encoder's output [rows, S, text width]."""
        key, value = torch.split(self.split(self.kv_proj(text)), self.kv_heads, dim=1)
        return key, value

    def forward(self, x: Tensor, text: KVCache, mask: Tensor | None) -> Tensor:
        """[rows, T, width] → [rows, T, width]; `mask` [rows, 1, S] is true at text."""
        out: Tensor = self.o_proj(attend(self.split(self.q_proj(x)), text.keys, text.values, mask))
        return out


class MlpBlock(GatedMLP):
    """`wo(silu(gate) · up)`; gate and up are the halves of one projection."""

    def __init__(self, width: int, hidden: int, dtype: torch.dtype | None) -> None:
        super().__init__(width, hidden, ["silu", "linear"], dtype)


class EncoderLayer(nn.Module):
    """Self-attention over the whole text, then the MLP."""

    def __init__(self, config: EncoderConfig, dtype: torch.dtype | None) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.norm_eps
        self.pre_sa_norm = RMSNorm(width, eps, dtype)
        self.self_attention = SelfAttention(config, dtype)
        self.post_sa_norm = RMSNorm(width, eps, dtype)
        self.mlp = MlpBlock(width, config.intermediate_size, dtype)

    def forward(self, x: Tensor, rotation: Rotation, mask: Tensor) -> Tensor:
        """[rows, S, width] → [rows, S, width]; `mask` [rows, S, S]."""
        attention = self.self_attention
        x = x + attention.o_proj(attend(*attention.project(self.pre_sa_norm(x), rotation), mask))
        out: Tensor = x + self.mlp(self.post_sa_norm(x))
        return out


class Encoder(nn.Module):
    """Text bytes in, one vector a byte out."""

    def __init__(self, config: EncoderConfig, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.vocab_size, config.hidden_size, dtype=dtype)
        self.layers = nn.ModuleList(EncoderLayer(config, dtype) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.norm_eps, dtype)

    def forward(self, tokens: Tensor, state: EncoderInferenceState) -> Tensor:
        """Encode `tokens` [2B, S] as [2B, S, width]."""
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x, state.rotation, state.attention_mask)
        out: Tensor = self.norm(x)
        return out


class DecoderLayer(nn.Module):
    """Causal self-attention, cross-attention to the text, MLP."""

    def __init__(self, config: DecoderConfig, dtype: torch.dtype | None) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.norm_eps
        self.pre_sa_norm = RMSNorm(width, eps, dtype)
        self.self_attention = SelfAttention(config, dtype)
        self.pre_ca_norm = RMSNorm(width, eps, dtype)
        self.cross_attention = CrossAttention(config, dtype)
        self.pre_mlp_norm = RMSNorm(width, eps, dtype)
        self.mlp = MlpBlock(width, config.intermediate_size, dtype)

    def forward(
        self,
        x: Tensor,
        rotation: Rotation,
        cache: KVCache,
        slots: Tensor,
        length: int,
        mask: Tensor | None,
        text: KVCache,
        text_mask: Tensor | None,
    ) -> Tensor:
        """Run T rows through the layer.

        Args:
            x: [2B, T, width].
            rotation: of the T rows.
            cache: keys and values of the rows so far; those of the T rows are written.
            slots: [T] int64, where.
            length: slots 0 … length − 1 are seen.
            mask: [1, T, length] bool, true where a row may look; `None`: at all of them.
            text: keys and values of the text.
            text_mask: [2B, 1, S] bool, true at text; `None`: everywhere.

        Returns:
            [2B, T, width].
        """
        query, key, value = self.self_attention.project(self.pre_sa_norm(x), rotation)
        x = x + self.self_attention.o_proj(attend(query, *cache.update(slots, key, value, length), mask))
        x = x + self.cross_attention(self.pre_ca_norm(x), text, text_mask)
        out: Tensor = x + self.mlp(self.pre_mlp_norm(x))
        return out


class Decoder(nn.Module):
    """Rows of the delayed grid in, logits of the next row out."""

    def __init__(self, config: DecoderConfig, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.channels, self.vocab = config.num_channels, config.vocab_size
        # One table: that of channel c begins at row c · V.
        self.embeddings = nn.Embedding(self.channels * self.vocab, config.hidden_size, dtype=dtype)
        self.layers = nn.ModuleList(DecoderLayer(config, dtype) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.norm_eps, dtype)
        # float32 in every mode: what is drawn from must not be rounded.
        self.logits_dense = Linear(config.hidden_size, self.channels * self.vocab, torch.float32)

    def embed(self, tokens: Tensor) -> Tensor:
        """The sum of one embedding a channel: `tokens` [rows, T, C] → [rows, T, width]."""
        first = torch.arange(0, self.channels * self.vocab, self.vocab, device=tokens.device)  # [C]
        out: Tensor = self.embeddings(tokens + first).sum(dim=-2)
        return out

    def keys_values(self, text: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Of every layer's cross-attention, [2B, heads, S, D] each, from the encoder's output [2B, S, text width]."""
        layers: Iterable[Any] = self.layers
        return [layer.cross_attention.keys_values(text) for layer in layers]

    def forward(
        self,
        tokens: Tensor,
        rotation: Rotation,
        state: DecoderInferenceState,
        slots: Tensor,
        length: int,
        mask: Tensor | None,
        *,
        compiled: bool = False,
    ) -> Tensor:
        """Run T rows at once, writing their keys and values: T = 1 while generating, more for a prompt and for replay.

        Args:
            tokens: [2B, T, C] int64.
            rotation: of the T rows.
            state: caches of this run.
            slots: [T] int64, the rows' numbers.
            length: slots 0 … length − 1 are seen.
            mask: see `DecoderLayer`.
            compiled: run the layers through torch.compile.

        Returns:
            Hidden states after the final norm [2B, T, width]; `logits` turns them into logits.
        """
        x = self.embed(tokens)
        text_mask = None if state.whole_text else state.text_mask
        run = compiled_form(DecoderLayer.forward, x.device.type) if compiled else DecoderLayer.__call__
        for number, layer in enumerate(self.layers):
            cache, text = state.self_attention[number], state.cross_attention[number]
            x = run(layer, x, rotation, cache, slots, length, mask, text, text_mask)
        out: Tensor = self.norm(x)
        return out

    def logits(self, hidden: Tensor) -> Tensor:
        """[rows, T, width] → [rows, T, C, V] float32."""
        logits: Tensor = self.logits_dense(hidden.float())
        return logits.view(*hidden.shape[:-1], self.channels, self.vocab)


class DiaModel(nn.Module):
    """Encoder and decoder."""

    def __init__(self, config: DiaConfig, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.model.encoder, dtype)
        self.decoder = Decoder(config.model.decoder, dtype)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.decoder.norm.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Of all weights but the logits'."""
        return self.decoder.norm.weight.dtype
