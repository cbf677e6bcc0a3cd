"""The parts that both stacks are made of: RMSNorm, rotary positions, attention, MLP, text embedding."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dia2.core.linear import Linear, in_loops

# Of T positions, [T, head_dim]: cos, cos and −sin, sin of each one's angles; [B, T, head_dim] if each row has its own.
Rotation = tuple[Tensor, Tensor]

_SHORT = 64  # slots up to which compiled attention is a few loops of its own; the depformer has as many as stages

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": F.silu,
    "swish": F.silu,
    "swiglu": F.silu,
    "gelu": F.gelu,  # the exact one, not the tanh approximation
    "geglu": F.gelu,
    "relu": F.relu,
    "linear": lambda x: x,
}


class RMSNorm(nn.Module):
    """x · rsqrt(mean(x²) + eps) · weight, over the last dimension."""

    def __init__(self, width: int, eps: float, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width, dtype=dtype))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `x` [..., width]."""
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


def rotary_table(positions: Tensor, head_dim: int, min_timescale: float, max_timescale: float) -> Rotation:
    """Rotation of `positions` [T]; frequency i is 1 / (min · (max / min)^(2i / head_dim)), the same for both halves."""
    exponents = torch.arange(0, head_dim, 2, dtype=torch.float32, device=positions.device) / head_dim
    frequencies = 1.0 / (min_timescale * (max_timescale / min_timescale) ** exponents)
    angles = positions.float()[:, None] * frequencies  # [T, head_dim / 2]
    cos, sin = angles.cos(), angles.sin()
    return torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Turn the half-split pairs of `x` [B, H, T, head_dim]: (a, b) → (a·cos − b·sin, b·cos + a·sin)."""
    cos, sin = rotation
    return x * cos + x.roll(x.shape[-1] // 2, dims=-1) * sin  # the halves exchanged, in one operation


class HeadTurn(NamedTuple):
    """What takes query and key heads of one layer, divided by their root mean square, to where they are compared.

    Heads stand in G + 1 rows of Hkv: G rows of queries, one of keys. The weights of their norms are part of the
    rotation, so that both cost one pass over the heads.
    """

    straight: Tensor  # [T, G + 1, 1, D], or with B before: weight · cos; without rotary the weight
    crossed: Tensor | None  # likewise: of the other half, its weight · ∓sin; `None` without rotary


def head_turns(
    norms: Iterable[tuple[RMSNorm, RMSNorm]], groups: int, rotation: Rotation | None, frames: int
) -> list[HeadTurn]:
    """Each layer's `HeadTurn` for T frames, all in a few operations.

    Args:
        norms: of each layer's queries and keys.
        groups: query heads for each key head, G.
        rotation: of the T positions; `None` where the config has no rotary.
        frames: T.
    """
    rows: list[Tensor] = [norm.weight for query, key in norms for norm in (*[query] * groups, key)]
    before = (1,) * (1 if rotation is None else rotation[0].dim() - 1)  # for T, or B and T
    weight = torch.stack(rows).view(-1, *before, groups + 1, 1, rows[0].shape[-1])  # [layers, …, G + 1, 1, D]
    if rotation is None:
        return [HeadTurn(straight, None) for straight in weight.expand(-1, frames, -1, -1, -1).unbind()]
    cos, sin = (table[..., None, None, :] for table in rotation)  # [T, 1, 1, D]
    crossed = weight.roll(weight.shape[-1] // 2, dims=-1) * sin
    return [HeadTurn(*pair) for pair in zip((weight * cos).unbind(), crossed.unbind(), strict=True)]


def turn_heads(heads: Tensor, turn: HeadTurn, eps: float, *, overwrite: bool = False) -> Tensor:
    """Normalise and rotate queries and keys at once.

    Args:
        heads: [B, T, G + 2, Hkv, D], G rows of queries, one of keys, one of values.
        turn: of the layer and the T positions.
        eps: what the norms add to a mean square.
        overwrite: put the result into `heads` itself, which saves a copy of the values.

    Returns:
        All of them [B, T, G + 2, Hkv, D], the values as they were.
    """
    # Values are normalised for nothing: to leave them out would copy the others into a row of their own first.
    normed = F.rms_norm(heads, heads.shape[-1:], eps=eps)
    place = heads[:, :, :-1] if overwrite else None
    if turn.crossed is None:
        turned = torch.mul(normed[:, :, :-1], turn.straight, out=place)
    else:
        across = normed.roll(heads.shape[-1] // 2, dims=-1)[:, :, :-1]  # the halves exchanged, in one operation
        turned = torch.addcmul(normed[:, :, :-1] * turn.straight, across, turn.crossed, out=place)
    return heads if overwrite else torch.cat((turned, heads[:, :, -1:]), dim=2)


def may_overwrite(out: Tensor, made_by: object) -> bool:
    """Whether nobody else needs what a projection has just given.

    A gradient may, and so may a torch hook that has kept it. torch.compile decides by itself what to overwrite.
    """
    if torch.compiler.is_compiling() or (torch.is_grad_enabled() and out.requires_grad):
        return False
    return not (getattr(made_by, "_forward_hooks", None) or nn.modules.module._global_forward_hooks)


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Grouped-query attention with softmax scale 1.0 (q and k are normalised per head instead).

    Args:
        query: [B, Hq, T, D]; head h reads kv head h // (Hq / Hkv).
        key: [B, Hkv, L, D].
        value: [B, Hkv, L, D].
        mask: of `additive_mask`, [G · T, L] or [B, 1, G · T, L] with G = Hq / Hkv; none lets every query see all L.

    Returns:
        [B, T, Hq · D].
    """
    batch, heads, frames, dim = query.shape
    groups = heads // key.shape[1]
    # The heads of a group become rows of one product, so keys and values are never copied per query head.
    query = query.reshape(batch, key.shape[1], groups * frames, dim)
    if in_loops(query) and mask is None and frames == 1 and key.shape[2] <= _SHORT:
        out = _attend_in_loops(query, key, value)
    else:
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=1.0)
    return out.reshape(batch, heads, frames, dim).transpose(1, 2).reshape(batch, frames, heads * dim)


def _attend_in_loops(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """For torch.compile, which makes it part of its loops: a call of attention takes longer than so little of it.

    Args:
        query: [B, Hkv, rows, D].
        key: [B, Hkv, L, D].
        value: [B, Hkv, L, D].

    Returns:
        [B, Hkv, rows, D].
    """
    scores = (query.float()[:, :, :, None] * key.float()[:, :, None]).sum(dim=-1)  # [B, Hkv, rows, L]
    weighted = scores.softmax(dim=-1)[..., None] * value.float()[:, :, None]
    return weighted.sum(dim=3).to(query.dtype)


def attention_weights(query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
    """What `attend` weighs values with: [B, Hq, T, L] float32, rows sum to 1. For looking; nothing runs on it.

    Args:
        query: [B, Hq, T, D].
        key: [B, Hkv, L, D].
        mask: [T, L] bool, true where a query may look.
    """
    batch, heads, frames, dim = query.shape
    grouped = query.float().reshape(batch, key.shape[1], heads // key.shape[1], frames, dim)  # [B, Hkv, Hq / Hkv, T, D]
    scores = grouped @ key.float()[:, :, None].transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(dim=-1).flatten(1, 2)


class GatedMLP(nn.Module):
    """`wo(act0(first half of wi) · act1(second half of wi))`."""

    def __init__(self, width: int, hidden: int, activations: list[str], dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.wi = Linear(width, 2 * hidden, dtype)
        self.wo = Linear(hidden, width, dtype)
        self.act0, self.act1 = (_ACTIVATIONS[name] for name in activations)

    def forward(self, x: Tensor) -> Tensor:
        """Map `x` [..., width] to [..., width]."""
        gate, up = self.wi(x).chunk(2, dim=-1)
        out: Tensor = self.wo(self.act0(gate) * self.act1(up))
        return out


class TextEmbedding(nn.Module):
    """Both text streams through one table; the second counts only where it carries a token."""

    def __init__(self, vocab: int, table_width: int, width: int, pad: int, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab, table_width, dtype=dtype)
        self.main_proj = Linear(table_width, width, dtype)
        self.second_proj = Linear(table_width, width, dtype)
        self.pad = pad

    def forward(self, main: Tensor, second: Tensor) -> Tensor:
        """Embed token ids `main` and `second`, any equal shape [...], as [..., width]."""
        out: Tensor = self.main_proj(self.embedding(main))
        ahead: Tensor = self.second_proj(self.embedding(second))
        return out + ahead.masked_fill((second == self.pad)[..., None], 0.0)


class CodeEmbedding(nn.Module):
    """A table for each codebook, in one tensor here and in as many as there are codebooks in a state dict."""

    def __init__(self, codebooks: int, vocab: int, width: int, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(codebooks, vocab, width, dtype=dtype))
        nn.init.normal_(self.weight)
        self.register_state_dict_post_hook(_split_tables)  # type: ignore[no-untyped-call]  # torch's own
        self.register_load_state_dict_pre_hook(_join_tables)  # type: ignore[no-untyped-call]  # likewise

    def forward(self, codes: Tensor) -> Tensor:
        """The sum over codebooks [B, T, width] of `codes` [B, K, T]."""
        if codes.shape[-1] > 1:  # one after the other: all at once would take K times the memory
            return sum_of(F.embedding(codes[:, k], table) for k, table in enumerate(self.weight))
        vocab = self.weight.shape[1]
        first = torch.arange(0, self.weight.shape[0] * vocab, vocab, device=codes.device)  # [K], row of each table
        return F.embedding(codes + first[:, None], self.weight.flatten(0, 1)).sum(dim=1)


def sum_of(parts: Iterable[Tensor]) -> Tensor:
    """Of at least one, from first to last."""
    return functools.reduce(torch.add, parts)


def _split_tables(module: CodeEmbedding, state: dict[str, Tensor], prefix: str, _: object) -> None:
    """The published names, each a view: what is copied into one is loaded."""
    for k, table in enumerate(state.pop(f"{prefix}weight")):
        state[f"{prefix}{k}.weight"] = table


def _join_tables(module: CodeEmbedding, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    names = [f"{prefix}{k}.weight" for k in range(len(module.weight))]
    if all(name in state for name in names):
        state[f"{prefix}weight"] = torch.stack([state.pop(name) for name in names])
