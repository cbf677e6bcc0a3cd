"""Dia2's two networks once more, in float64 and in loops over frames and heads, from the spec's text alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

State = Mapping[str, Tensor]


def _silu(x: float) -> float:
    return x / (1.0 + math.exp(-x))


def _gelu(x: float) -> float:
    return 0.5 * x * (1.0 + math.erf(x / math.sqrt(2.0)))


ACTIVATION: dict[str, Callable[[float], float]] = {
    "silu": _silu,
    "swish": _silu,
    "swiglu": _silu,
    "gelu": _gelu,
    "geglu": _gelu,
    "relu": lambda x: max(x, 0.0),
    "linear": lambda x: x,
}


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Normalise vectors [..., width]."""
    return x / (x.square().mean(dim=-1, keepdim=True) + eps).sqrt() * weight


def turn(vector: list[float], position: int, low: float, high: float) -> list[float]:
    """Rotary, pair by pair: element i belongs with element i + d/2."""
    half, dim = len(vector) // 2, len(vector)
    out = [0.0] * dim
    for i in range(half):
        angle = position / (low * (high / low) ** (2 * i / dim))
        a, b = vector[i], vector[half + i]
        out[i] = a * math.cos(angle) - b * math.sin(angle)
        out[half + i] = b * math.cos(angle) + a * math.sin(angle)
    return out


def naive_transformer(
    state: State, raw: Mapping[str, Any], tokens: Tensor, positions: list[int], allowed: list[list[bool]]
) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden, action logits and codebook-0 logits of `tokens` [B, C, T]; frame i looks at j where `allowed[i][j]`."""
    w = _Weights(state, "transformer.")
    block, eps = raw["model"]["decoder"], raw["model"]["normalization_layer_epsilon"]
    activations = raw["model"].get("linear", {}).get("mlp_activations", ["silu", "linear"])
    rows = []
    for row in tokens.tolist():
        x = torch.stack(
            [
                _text(w, row[0][t], row[1][t], raw)
                + sum(w[f"audio_embeds.{k}.weight"][code[t]] for k, code in enumerate(row[2:]))
                for t in range(len(positions))
            ]
        )
        for n in range(block["n_layer"]):
            layer = _Weights(state, f"transformer.layers.{n}.")
            y = rms_norm(x, layer["pre_norm.weight"], eps)
            q, k, v = (y @ layer[f"attn.{name}_proj.weight"].T for name in "qkv")
            x = (
                x
                + _attention(
                    _split(q, block["gqa_query_heads"]),
                    _split(k, block["kv_heads"]),
                    _split(v, block["kv_heads"]),
                    (layer["attn.q_norm.weight"], layer["attn.k_norm.weight"]),
                    eps,
                    positions,
                    _timescales(raw),
                    allowed,
                )
                @ layer["attn.o_proj.weight"].T
            )
            x = x + _mlp(layer, rms_norm(x, layer["post_norm.weight"], eps), activations)
        rows.append(rms_norm(x, w["norm.weight"], eps))
    hidden = torch.stack(rows)
    return hidden, hidden @ w["action_head.weight"].T, hidden @ w["cb0_head.weight"].T


def naive_depformer(
    state: State, raw: Mapping[str, Any], hidden: Tensor, codes: list[int], text: tuple[int, int]
) -> Tensor:
    """Logits [K-1, codes] of one frame, from `hidden` [width of the transformer] and the frame's true codes."""
    w = _Weights(state, "depformer.")
    block, eps = raw["model"]["depformer"], raw["model"]["normalization_layer_epsilon"]
    stages = raw["data"]["channels"] - 3
    schedule = raw["runtime"].get("weights_schedule") or list(range(stages))
    frame = []
    for s in range(stages):
        x = w[f"depformer_in.{schedule[s]}.weight"] @ hidden.double() + w[f"audio_embeds.{s}.weight"][codes[s]]
        if s == 0 and block.get("text_embedding", True):
            x = x + _text(w, *text, raw)
        frame.append(x)
    x = torch.stack(frame)
    heads = block["gqa_query_heads"]
    for n in range(block["n_layer"]):
        layer = _Weights(state, f"depformer.layers.{n}.")
        y = rms_norm(x, layer["pre_norm.weight"], eps)
        fused = torch.stack([layer[f"self_attention.in_proj.{schedule[s]}.weight"] @ y[s] for s in range(stages)])
        q, k, v = fused.view(stages, 3, heads, -1).unbind(1)
        out = _attention(
            q,
            k,
            v,
            (layer["self_attention.q_norm.weight"], layer["self_attention.k_norm.weight"]),
            eps,
            list(range(stages)),
            _timescales(raw) if block.get("apply_rope", True) else None,
            [[j <= i for j in range(stages)] for i in range(stages)],
        )
        x = x + torch.stack([layer[f"self_attention.out_proj.{schedule[s]}.weight"] @ out[s] for s in range(stages)])
        activations = block.get("mlp_activations", ["silu", "linear"])
        x = x + _mlp(layer, rms_norm(x, layer["post_norm.weight"], eps), activations)
    x = rms_norm(x, w["norm.weight"], eps)
    data = raw["data"]
    kept = min(data["audio_pad_token_id"], data["audio_bos_token_id"])
    return torch.stack([w[f"logits.{s}.weight"] @ x[s] for s in range(stages)])[:, :kept]


class _Weights:
    """Tensors below a prefix, as float64."""

    def __init__(self, state: State, prefix: str) -> None:
        self._state, self._prefix = state, prefix

    def __getitem__(self, name: str) -> Tensor:
        return self._state[self._prefix + name].double()


def _timescales(raw: Mapping[str, Any]) -> tuple[float, float]:
    return raw["model"].get("rope_min_timescale", 1), raw["model"].get("rope_max_timescale", 10000)


def _text(w: _Weights, main: int, second: int, raw: Mapping[str, Any]) -> Tensor:
    table = w["text_embed.embedding.weight"]
    out = w["text_embed.main_proj.weight"] @ table[main]
    if second != raw["data"]["text_pad_token_id"]:
        out = out + w["text_embed.second_proj.weight"] @ table[second]
    return out


def _split(x: Tensor, heads: int) -> Tensor:
    return x.view(len(x), heads, -1)  # [T, heads, head_dim]


def _attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    norms: tuple[Tensor, Tensor],
    eps: float,
    positions: list[int],
    timescales: tuple[float, float] | None,
    allowed: list[list[bool]],
) -> Tensor:
    """[T, heads, head_dim] of each → [T, heads · head_dim]; query head h reads kv head h // (heads / kv heads)."""
    q, k = rms_norm(q, norms[0], eps), rms_norm(k, norms[1], eps)
    if timescales is not None:
        q, k = _turned(q, positions, timescales), _turned(k, positions, timescales)
    groups = q.shape[1] // k.shape[1]
    out = torch.zeros_like(q)
    for t, seen in enumerate(allowed):
        frames = [j for j, may in enumerate(seen) if may]
        for h in range(q.shape[1]):
            scores = [float(q[t, h] @ k[j, h // groups]) for j in frames]
            top = max(scores)
            weights = [math.exp(score - top) for score in scores]
            for j, weight in zip(frames, weights, strict=True):
                out[t, h] += weight / sum(weights) * v[j, h // groups]
    return out.flatten(1)


def _turned(x: Tensor, positions: list[int], timescales: tuple[float, float]) -> Tensor:
    rows = [[turn(head, p, *timescales) for head in heads] for p, heads in zip(positions, x.tolist(), strict=True)]
    return torch.tensor(rows, dtype=torch.float64)


def _mlp(layer: _Weights, x: Tensor, activations: list[str]) -> Tensor:
    gate, up = (x @ layer["mlp.wi.weight"].T).chunk(2, dim=-1)
    return (_map(activations[0], gate) * _map(activations[1], up)) @ layer["mlp.wo.weight"].T


def _map(activation: str, x: Tensor) -> Tensor:
    return torch.tensor([[ACTIVATION[activation](value) for value in row] for row in x.tolist()], dtype=torch.float64)
