"""The transformer on either side of Mimi's quantizer: causal attention within a window of positions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dia2.audio.mimi.config import ACTIVATIONS, MimiConfig
from dia2.audio.mimi.past import Past
from dia2.core.layers import Rotation, rotary_table, rotate


class Attention(nn.Module):
    """Grouped-query self-attention with rotary positions."""

    def __init__(self, config: MimiConfig) -> None:
        super().__init__()
        width, bias = config.hidden_size, config.attention_bias
        self.head_dim, self.window = config.head_dim, config.sliding_window
        self.group = config.num_attention_heads // config.num_key_value_heads
        self.q_proj = nn.Linear(width, config.num_attention_heads * config.head_dim, bias=bias)
        self.k_proj = nn.Linear(width, config.num_key_value_heads * config.head_dim, bias=bias)
        self.v_proj = nn.Linear(width, config.num_key_value_heads * config.head_dim, bias=bias)
        self.o_proj = nn.Linear(config.num_attention_heads * config.head_dim, width, bias=bias)

    def forward(self, x: Tensor, rotation: Rotation, mask: Tensor | None, past: Past) -> Tensor:
        """[1, n, D] → [1, n, D]; without `mask` [n, L] every position sees all that is before it."""
        query = rotate(self._heads(self.q_proj(x)), rotation)
        key, value = rotate(self._heads(self.k_proj(x)), rotation), self._heads(self.v_proj(x))
        if self in past.heads:
            keys, values = past.heads[self]
            key, value = torch.cat((keys, key), dim=2), torch.cat((values, value), dim=2)
        drop = max(0, key.shape[2] - (self.window - 1))
        past.heads[self] = key[:, :, drop:], value[:, :, drop:]
        if self.group > 1:
            key, value = key.repeat_interleave(self.group, dim=1), value.repeat_interleave(self.group, dim=1)
        causal = mask is None and query.shape[2] > 1
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)
        projected: Tensor = self.o_proj(out.transpose(1, 2).flatten(2))
        return projected

    def _heads(self, x: Tensor) -> Tensor:  # [B, n, H · head_dim] -> [B, H, n, head_dim]
        return x.view(*x.shape[:2], -1, self.head_dim).transpose(1, 2)


class Mlp(nn.Module):
    """Up, activation, down."""

    def __init__(self, config: MimiConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)
        self.activation = ACTIVATIONS[config.hidden_act]

    def forward(self, x: Tensor) -> Tensor:
        """[1, n, D] → [1, n, D]."""
        out: Tensor = self.fc2(self.activation(self.fc1(x)))
        return out


class Scale(nn.Module):
    """What a branch adds, channel by channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] → [..., D]."""
        return self.scale * x


class Layer(nn.Module):
    """Pre-norm residual layer: attention, then MLP."""

    def __init__(self, config: MimiConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.input_layernorm = nn.LayerNorm(width, eps=config.norm_eps)
        self.self_attn = Attention(config)
        self.self_attn_layer_scale = Scale(width)
        self.post_attention_layernorm = nn.LayerNorm(width, eps=config.norm_eps)
        self.mlp = Mlp(config)
        self.mlp_layer_scale = Scale(width)

    def forward(self, x: Tensor, rotation: Rotation, mask: Tensor | None, past: Past) -> Tensor:
        """[1, n, D] → [1, n, D]."""
        x = x + self.self_attn_layer_scale(self.self_attn(self.input_layernorm(x), rotation, mask, past))
        out: Tensor = x + self.mlp_layer_scale(self.mlp(self.post_attention_layernorm(x)))
        return out


class Transformer(nn.Module):
    """Layers, and the positions that they are at."""

    def __init__(self, config: MimiConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.head_dim, self.theta, self.window = config.head_dim, config.rope_theta, config.sliding_window

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """[1, D, n] → [1, D, n], the next n positions."""
        begin = past.positions
        past.positions += x.shape[2]
        positions = torch.arange(begin, past.positions, device=x.device)
        rotation = rotary_table(positions, self.head_dim, 1.0, self.theta)
        mask = self._mask(positions, begin)
        x = x.transpose(1, 2)
        for layer in self.layers:
            x = layer(x, rotation, mask, past)
        return x.transpose(1, 2)

    def _mask(self, positions: Tensor, begin: int) -> Tensor | None:
        """Where each of `positions` [n] may look, [n, L] bool; `None`: at all that is there up to itself."""
        n, kept = len(positions), min(begin, self.window - 1)
        if n == 1 or (begin == 0 and n <= self.window):
            return None
        ahead = torch.arange(begin - kept, begin + n, device=positions.device) - positions[:, None]  # [n, L]
        return (ahead <= 0) & (ahead > -self.window)
