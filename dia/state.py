"""What a run keeps between its steps: masks and positions of the text, caches of both attentions, the rows written.

Rows of the network are 2B for B scripts: for each script the unconditional one first, then the conditional one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dia.config import DiaConfig
from dia2.core import cache
from dia2.core.layers import Rotation, rotary_table

UNKNOWN = -1  # in a table of tokens: not yet generated


@dataclass(frozen=True)
class EncoderInferenceState:
    """What the encoder needs beside the text."""

    attention_mask: Tensor  # [2B, S, S] bool: text sees text, padding sees padding
    rotation: Rotation  # of positions 0 … S − 1, float32

    @classmethod
    def new(cls, config: DiaConfig, padding_mask: Tensor) -> EncoderInferenceState:
        """The state for texts whose bytes stand where `padding_mask` [2B, S] is true."""
        encoder = config.model.encoder
        positions = torch.arange(padding_mask.shape[1], device=padding_mask.device)
        return cls(
            attention_mask=padding_mask[:, :, None] == padding_mask[:, None, :],
            rotation=rotary_table(positions, encoder.head_dim, config.model.rope_min_timescale, encoder.rope_theta),
        )


class KVCache(NamedTuple):
    """Keys and values of one layer; the buffers never move, so a CUDA graph may hold their addresses."""

    keys: Tensor  # [2B, heads, slots, head_dim]
    values: Tensor  # [2B, heads, slots, head_dim]

    def update(self, slots: Tensor, key: Tensor, value: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """Store `key`, `value` [2B, heads, T, D] in `slots` [T]; returns [2B, heads, length, D] of both."""
        self.keys.index_copy_(2, slots, key)
        self.values.index_copy_(2, slots, value)
        return self.keys[:, :, :length], self.values[:, :, :length]

    def prefill(self, key: Tensor, value: Tensor) -> None:
        """Store `key`, `value` [2B, heads, T, D] in slots 0 … T − 1."""
        self.keys[:, :, : key.shape[2]] = key
        self.values[:, :, : value.shape[2]] = value


@dataclass
class DecoderInferenceState:
    """Caches and positions of the decoder."""

    self_attention: list[KVCache]  # of each layer: rows written so far
    cross_attention: list[KVCache]  # of each layer: the text, computed once
    text_mask: Tensor  # [2B, 1, S] bool, true at text
    whole_text: bool  # the mask is true throughout, so that attention can do without it
    rotation: Rotation  # of every row there can be, float32 [slots, head_dim] each

    @classmethod
    def new(
        cls, config: DiaConfig, *, rows: int, slots: int, text: int, dtype: torch.dtype, device: torch.device
    ) -> DecoderInferenceState:
        """Empty caches.

        Args:
            config: of the checkpoint.
            rows: 2B.
            slots: rows of the delayed grid that there can be.
            text: positions of the text.
            dtype: of the caches.
            device: where they are.
        """
        decoder = config.model.decoder

        def caches(heads: int, slots: int, head_dim: int) -> list[KVCache]:
            layers = decoder.num_hidden_layers
            whole = cache.KVCache(
                layers=layers, batch=rows, heads=heads, slots=slots, head_dim=head_dim, dtype=dtype, device=device
            )
            return [KVCache(whole.keys[n], whole.values[n]) for n in range(layers)]

        positions = torch.arange(slots, device=device)
        return cls(
            self_attention=caches(decoder.num_key_value_heads, slots, decoder.head_dim),
            cross_attention=caches(decoder.cross_num_key_value_heads, text, decoder.cross_head_dim),
            text_mask=torch.zeros(rows, 1, text, dtype=torch.bool, device=device),
            whole_text=False,
            rotation=rotary_table(positions, decoder.head_dim, config.model.rope_min_timescale, decoder.rope_theta),
        )

    @property
    def slots(self) -> int:
        """Rows that the caches can hold."""
        return self.self_attention[0].keys.shape[2]

    def clear(self) -> None:
        """Zeros in all caches, for a graph: it reads every slot under a mask, where NaN would spread."""
        for layer in (*self.self_attention, *self.cross_attention):
            layer.keys.zero_()
            layer.values.zero_()

    def take_text(self, keys_values: Sequence[tuple[Tensor, Tensor]], padding_mask: Tensor) -> None:
        """Fill the cross-attention caches: keys and values of each layer [2B, heads, S, D], mask [2B, S]."""
        for layer, (key, value) in zip(self.cross_attention, keys_values, strict=True):
            layer.prefill(key, value)
        self.text_mask.zero_()
        self.text_mask[:, 0, : padding_mask.shape[1]] = padding_mask
        self.whole_text = bool(self.text_mask.all())

    def rotation_of(self, rows: Tensor) -> Rotation:
        """Of the rows [T], [T, head_dim] each."""
        cos, sin = self.rotation
        return cos.index_select(0, rows), sin.index_select(0, rows)


@dataclass
class DecoderOutput:
    """The rows of the delayed grid, as far as they are known."""

    generated_tokens: Tensor  # [B, rows, C] int64; −1 where not yet generated
    prefill_steps: list[int]  # of each script: rows that BOS and its prompt give, 1 without a prompt

    @classmethod
    def new(cls, scripts: int, rows: int, channels: int, device: torch.device) -> DecoderOutput:
        """Nothing known yet."""
        unknown = torch.full((scripts, rows, channels), UNKNOWN, dtype=torch.int64, device=device)
        return cls(unknown, [1] * scripts)

    def prefill(self, delayed: Tensor, prefill_steps: list[int]) -> None:
        """Take the first rows [B, T, C], −1 where unknown, and how many of them each script is given."""
        self.generated_tokens[:, : delayed.shape[1]] = delayed
        self.prefill_steps = prefill_steps
