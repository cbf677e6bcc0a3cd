"""Direct logit attribution: what each part of the network adds to one logit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from dia2.adapter.replay import check_given
from dia2.adapter.trace import Dia2Trace
from dia2.analysis.readout import Head, check_head, check_token
from dia2.common.brief import brief_repr
from dia2.core.transformer import Block
from dia2.engine import Dia2
from dia2.runtime.context import RuntimeContext
from dia2.runtime.edits import activations_of


@dataclass(frozen=True)
class Attribution:
    """The parts of one logit, of the conditional branch; they add up to it."""

    __repr__ = brief_repr

    call: int
    head: Head  # cb0 or action
    token: int
    against: int | None  # the token whose logit is taken off, part by part
    parts: list[str]  # [P]: act.embed, of each layer act.l.attn and act.l.mlp; of a run with edits what these add
    shares: np.ndarray  # [P] float32, logits
    heads: np.ndarray  # [layers, heads] float32: those of each attention head, which add up to its layer's attn
    logit: float  # as the network computes it
    scale: float  # by which the final norm multiplied the stream; the same for all parts


def direct_logit_attribution(
    trace: Dia2Trace, tts: Dia2, call: int, token: int | None = None, *, against: int | None = None, head: Head = "cb0"
) -> Attribution:
    """Take one logit apart: the residual stream is a sum, and the final norm scales it by one number.

    Args:
        trace: of any level.
        tts: the checkpoint that made it.
        call: whose logit.
        token: of the head; `None`: the one that the run drew.
        against: a token whose logit is taken off; what helps both equally then counts nothing.
        head: `cb0` or `action`.

    Raises:
        UsageError: another checkpoint, or there is no such token or head.
        TraceError: there is no such call, or the trace was redacted.
    """
    (call,) = check_given(trace, tts, [call])
    head, runtime = check_head(head), tts.runtime
    if token is None:
        token = int(trace.codes[call, 0] if head == "cb0" else trace.actions[call])
    token = check_token(runtime, head, token)
    against = None if against is None else check_token(runtime, head, against)
    layers = range(runtime.config.model.decoder.n_layer)
    parts = ["act.embed", *(f"act.{layer}.{part}" for layer in layers for part in ("attn", "mlp"))]
    zs = [f"act.{layer}.heads" for layer in layers]
    ends = [f"act.{len(layers) - 1}.resid", "act.hidden"]
    replay = trace.replay(tts, [call], points=[*parts, *zs, *ends])
    acts = {name: values[0, 0] for name, values in replay.acts.items()}
    stream = torch.stack([acts[part] for part in parts])  # [P, n_embd]
    norm = runtime.model.transformer.norm
    scale = float((acts[ends[0]].double().square().mean() + norm.eps).rsqrt())

    def logits_of(hidden: Tensor) -> Tensor:
        """[...] of hidden states [..., n_embd]."""
        logits: Tensor = _head(runtime, head)(hidden.to(runtime.device)).cpu()
        return logits[..., token] if against is None else logits[..., token] - logits[..., against]

    weight = scale * norm.weight.float().cpu()
    with runtime.computing():
        shares = logits_of(weight * stream)
        heads = logits_of(weight * torch.stack([_through(runtime, layer, acts[z]) for layer, z in enumerate(zs)]))
        if activations_of(trace.run.edits):
            parts.append("edits")
            shares = torch.cat((shares, logits_of(acts["act.hidden"] - weight * stream.sum(dim=0))[None]))
    whole = (replay.cb0 if head == "cb0" else replay.action)[0, 0]
    logit = float(whole[token]) - (0.0 if against is None else float(whole[against]))
    return Attribution(call, head, token, against, parts, shares.numpy(), heads.numpy(), logit, scale)


def _head(runtime: RuntimeContext, head: Head) -> nn.Module:
    transformer = runtime.model.transformer
    return transformer.cb0_head if head == "cb0" else transformer.action_head


def _through(runtime: RuntimeContext, layer: int, z: Tensor) -> Tensor:
    """What each head of a layer adds to the stream: [heads, n_embd] of `z` [heads, head_dim]."""
    alone = torch.diag_embed(z.T).permute(1, 2, 0).flatten(1)  # [heads, heads · head_dim]: the others zero
    block = cast(Block, runtime.model.transformer.layers[layer])
    out: Tensor = block.attn.o_proj(alone.to(runtime.device, runtime.dtype))
    return out.float().cpu()
