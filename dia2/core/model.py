"""The whole network, and the state that it keeps between frames."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dia2.core.cache import KVCache
from dia2.core.config import DiaConfig
from dia2.core.depformer import Depformer
from dia2.core.layers import Rotation, rotary_table
from dia2.core.transformer import TransformerDecoder


class Dia2Model(nn.Module):
    """`transformer` and `depformer`; parameter names are those of the published state dict."""

    def __init__(self, config: DiaConfig, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.config = config
        self.dtype = dtype or torch.float32  # of weights, activations and caches; the heads are float32
        self.transformer = TransformerDecoder(config, dtype)
        self.depformer = Depformer(config, dtype)

    def new_decode_state(self, *, branches: int, slots: int, positions: int, device: torch.device) -> DecodeState:
        """Empty caches for `branches` guidance branches and `slots` calls, rotary tables for `positions`."""
        decoder, depformer = self.config.model.decoder, self.config.model.depformer
        stages = max(self.depformer.stages, 1)

        def cache(layers: int, heads: int, count: int, head_dim: int) -> KVCache:
            return KVCache(
                layers=layers,
                batch=branches,
                heads=heads,
                slots=count,
                head_dim=head_dim,
                dtype=self.dtype,
                device=device,
            )

        return DecodeState(
            transformer=cache(decoder.n_layer, decoder.kv_heads, slots, decoder.gqa_head_dim),
            depformer=cache(depformer.n_layer, depformer.kv_heads, stages, depformer.gqa_head_dim),
            rotation=self.rotation(decoder.gqa_head_dim, positions, device),
            stage_rotation=self.stage_rotation(device),
            stages=torch.arange(stages, device=device),
        )

    def cache_bytes(self, *, branches: int, slots: int) -> int:
        """Of both caches that `new_decode_state` makes."""
        decoder, depformer = self.config.model.decoder, self.config.model.depformer
        by_slot = decoder.n_layer * decoder.kv_heads * decoder.gqa_head_dim
        by_stage = depformer.n_layer * depformer.kv_heads * depformer.gqa_head_dim
        numbers = by_slot * slots + by_stage * max(self.depformer.stages, 1)
        return 2 * branches * numbers * self.dtype.itemsize  # keys and values

    def rotation(self, head_dim: int, positions: int, device: torch.device) -> Rotation:
        """Rotary table of positions 0 … positions-1 in the model's dtype."""
        model = self.config.model
        steps = torch.arange(positions, device=device)
        cos, sin = rotary_table(steps, head_dim, model.rope_min_timescale, model.rope_max_timescale)
        return cos.to(self.dtype), sin.to(self.dtype)

    def stage_rotation(self, device: torch.device) -> Rotation | None:
        """Rotary table of the depformer's stages; `None` where the config has no rotary there."""
        block = self.config.model.depformer
        return self.rotation(block.gqa_head_dim, self.depformer.stages, device) if block.apply_rope else None


@dataclass
class DecodeState:
    """What the network keeps between calls."""

    transformer: KVCache  # grows by one slot per call, persists over the run
    depformer: KVCache  # one slot per stage, overwritten in every frame
    rotation: Rotation  # transformer, by rotary position
    stage_rotation: Rotation | None  # depformer, by stage
    stages: Tensor  # [K-1] int64: 0 … K-2, the depformer's cache slots
