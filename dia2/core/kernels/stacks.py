"""The two stacks, one frame of them, in kernels: the same arguments and results as the modules have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from dia2.core.cache import LayerSpan, Span
from dia2.core.depformer import Depformer, DepformerBlock
from dia2.core.kernels.attention import attend_frame
from dia2.core.kernels.embedding import add_codes, embed_text
from dia2.core.kernels.product import Lookup, gated_product, product
from dia2.core.layers import Rotation
from dia2.core.transformer import Block, TransformerDecoder, TransformerOutput


def transformer_frame(model: TransformerDecoder, tokens: Tensor, rotation: Rotation, span: Span) -> TransformerOutput:
    """`model(tokens, rotation, span)` of one frame: `tokens` [B, C, 1]."""
    frame = tokens[:, :, 0]  # [B, C]
    x = embed_text(model.text_embed, frame[:, 0], frame[:, 1])
    x = add_codes(x, model.audio_embeds, frame[:, 2:])
    for number, layer in enumerate(cast(Sequence[Block], model.layers)):
        x = _block(layer, x, rotation, span.layer(number))
    hidden: Tensor = model.norm(x)
    action, cb0 = (product(hidden, head, dtype=torch.float32) for head in (model.action_head, model.cb0_head))
    return TransformerOutput(hidden[:, None], action[:, None], cb0[:, None])


def _block(layer: Block, x: Tensor, rotation: Rotation, span: LayerSpan) -> Tensor:
    """[B, n_embd] → [B, n_embd]."""
    attention = layer.attn
    fused = product(x, attention.qkv_proj, norm=layer.pre_norm)
    seen = attend_frame(fused, attention.heads[:2], attention.q_norm, attention.k_norm, rotation, span)
    x = product(seen, attention.o_proj, residual=x)
    return product(gated_product(x, layer.mlp, layer.post_norm), layer.mlp.wo, residual=x)


def depformer_stage(
    model: Depformer,
    stage: int,
    projected: Tensor,
    code: Tensor,
    text: tuple[Tensor, Tensor] | None,
    rotation: Rotation | None,
    span: Span,
) -> Tensor:
    """`model.forward_stage`, given what the stage takes of the hidden state, `projected` [B, n_embd]."""
    weight_set = model.schedule[stage]
    if stage == 0 and model.text_embed is not None and text is not None:
        projected = embed_text(model.text_embed, *text, residual=projected)
    lookup: Lookup | None = Lookup(cast(Tensor, model.audio_embeds[stage].weight), code)
    x = projected
    for number, layer in enumerate(cast(Sequence[DepformerBlock], model.layers)):
        attention = layer.self_attention
        total = None if lookup is None else torch.empty_like(x, memory_format=torch.contiguous_format)
        fused = product(x, attention.in_proj[weight_set], norm=layer.pre_norm, lookup=lookup, total=total)
        x, lookup = (x if total is None else total), None
        heads = attention.heads, attention.heads
        seen = attend_frame(fused, heads, attention.q_norm, attention.k_norm, rotation, span.layer(number))
        x = product(seen, attention.out_proj[weight_set], residual=x)
        x = product(gated_product(x, layer.mlp, layer.post_norm), layer.mlp.wo, residual=x)
    head = cast(Tensor, model.logits[stage].weight)[: model.num_codes]
    return product(x, head, norm=model.norm, lookup=lookup, dtype=torch.float32)
