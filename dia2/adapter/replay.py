"""Replay: the tokens in a trace determine every tensor of its run, so what was not recorded is computed again.

One many-frames pass over all calls up to the last one asked for, in chunks. Products of many rows add up in another
order than those of one, so the logits agree with recorded ones to 1e-4 of a call's largest in float32. In bfloat16,
whose 8 bits round every intermediate value, the test checkpoints differ by up to 9 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from dia2.adapter.checkpoint import check_checkpoint, check_trace
from dia2.adapter.draws import choice_probabilities, filtered
from dia2.adapter.layout import draw_names
from dia2.adapter.looking import Looker, sizes
from dia2.adapter.moments import moments_of
from dia2.adapter.trace import Dia2Trace
from dia2.common.brief import brief_repr
from dia2.common.hooks import PointFilter
from dia2.common.reading import Reading, readings
from dia2.core.cache import Span, causal_mask
from dia2.core.depformer import DepformerBlock, ScheduledAttention
from dia2.core.layers import attention_weights
from dia2.core.model import Dia2Model
from dia2.core.transformer import Attention, Block
from dia2.engine import Dia2
from dia2.inspect.trace.replaying import CHUNK, check_size, chosen_calls, digest, order_of
from dia2.runtime.context import RuntimeContext
from dia2.runtime.edits import activations_of
from dia2.runtime.guidance import special_codes
from dia2.runtime.written import Written, trail

_FRAMES = 64  # calls a pass of the depformer; bounds its logits


@dataclass(frozen=True)
class Replay:
    """Tensors of n calls, all float32 on the CPU. Rows of the depformer are NaN for calls of the warm-up."""

    __repr__ = brief_repr

    calls: list[int]
    hidden: Tensor  # [n, B, n_embd] after the final norm: the depformer's input
    action: Tensor  # [n, B, actions] logits
    cb0: Tensor  # [n, B, audio vocabulary] logits
    dep: Tensor  # [n, K-1, B, codes] logits
    probability: Tensor  # [n, 1 + K] of each choice (action, cb0, dep.1 …), after guidance, temperature and top-k
    rank: Tensor  # [n, 1 + K] of each choice among what guidance kept; 0 is the most likely; −1 in warm-up
    attention: list[Tensor] = field(default_factory=list)  # per layer [n, B, heads, slots], if asked for
    depformer_attention: list[Tensor] = field(default_factory=list)  # per layer [n, B, heads, K-1, K-1], likewise
    layers: list[Tensor] = field(default_factory=list)  # per layer [n, B, n_embd] after the block, if asked for
    depformer_layers: list[Tensor] = field(default_factory=list)  # per layer [n, B, K-1, n_embd], likewise
    acts: dict[str, Tensor] = field(default_factory=dict)  # by point [n, B, …] as the registry says, if asked for
    read: str = ""  # what it was computed from, see `dia2.inspect.trace.replaying.digest`


def replay(
    trace: Dia2Trace,
    tts: Dia2,
    calls: Sequence[int] | slice | None = None,
    *,
    scripts: Sequence[int] | None = None,
    attention: bool = False,
    layers: bool = False,
    points: PointFilter = (),
    edits: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Replay:
    """Compute the tensors of some calls again.

    Args:
        trace: of any level.
        tts: the checkpoint that made it.
        calls: which; `None`: all.
        scripts: which; a run of Dia2 has one, 0.
        attention: also the attention of every layer and head.
        layers: also the hidden state after every layer.
        points: also activations of these names or globs, such as `act.*.resid`; see `dia2.common.reading`.
        edits: with the run's edits of activations; without, as the network would have gone on from the same tokens.
        progress: called with (calls done, calls to do) while the transformer runs.

    Raises:
        UsageError: another checkpoint, no such point, or more would come back than memory should be asked for.
        TraceError: there is no such call, the trace was redacted, or the vectors of its edits are damaged.
    """
    wanted = check_given(trace, tts, calls)
    for script in scripts or ():
        trace.check_script(script)
    runtime = tts.runtime
    read = chosen_points(trace, runtime, points, max(wanted) + 1)
    _check_size(runtime.model, trace, wanted, attention, layers, read)
    looker = Looker(read)
    with runtime.computing():
        seen = _transformer(runtime, trace, wanted, attention, layers, looker, edits, progress)
        acts = seen.pop("acts")
        drawn = depformer(runtime, trace, wanted, seen["hidden"], attention, layers, looker, edits=edits)
        acts |= drawn.pop("acts")
        probability, rank = _choices(trace, wanted, seen["action"], seen["cb0"], drawn["dep"])
    acts = {reading.name: acts[reading.name] for reading in read}
    known_by = read_by(trace, max(wanted) + 1, edits=edits)
    return Replay(wanted, **seen, **drawn, probability=probability, rank=rank, acts=acts, read=known_by)


def check_given(trace: Dia2Trace, tts: Dia2, calls: Sequence[int] | slice | None) -> list[int]:
    """The calls that are asked for, once trace and engine are good for it.

    Raises:
        UsageError: another checkpoint, or no trace.
        TraceError: there is no such call, or the trace was redacted.
    """
    check_trace(trace, "replay")
    trace.adapter.check_engine(tts, "replay")
    wanted = chosen_calls(trace, calls)
    check_checkpoint(trace, tts.runtime)
    return wanted


def chosen_points(trace: Dia2Trace, runtime: RuntimeContext, points: PointFilter, slots: int) -> list[Reading]:
    """The activations that are asked for, in a replay of so many slots; possibly none.

    Raises:
        UsageError: there is no such point.
    """
    if isinstance(points, list | tuple) and not points:
        return []
    return readings(points, sizes(runtime.config, trace.model.branches, slots), trace.family)


def read_by(trace: Dia2Trace, calls: int, *, edits: bool = True) -> str:
    """`digest` of what the first so many calls of a trace read; `edits`: and had written into them."""
    written = activations_of(trace.run.edits) if edits else []
    tokens = trace.step_tokens[:calls]
    if not written:
        return digest(trace.run.hashes, tokens)
    told = trail(written, moments_of(trace, calls)).encode()
    return digest(trace.run.hashes, tokens, np.frombuffer(told, np.uint8))


def _check_size(
    model: Dia2Model, trace: Dia2Trace, calls: list[int], attention: bool, layers: bool, read: Sequence[Reading]
) -> None:
    facts, block = trace.model, model.config.model
    codes = facts.codebooks * facts.audio_vocabulary + facts.actions
    per_call = codes + block.decoder.n_embd
    if attention:
        per_call += facts.layers * facts.heads * (max(calls) + 1)
        per_call += facts.depformer_layers * block.depformer.gqa_query_heads * facts.codebooks**2
    if layers:
        per_call += facts.layers * block.decoder.n_embd
        per_call += facts.depformer_layers * facts.codebooks * block.depformer.n_embd
    numbers = per_call * facts.branches + sum(math.prod(reading.shape) for reading in read)
    check_size(4 * numbers * len(calls), "replay(tts, range(300, 320))")


def _transformer(
    runtime: RuntimeContext,
    trace: Dia2Trace,
    wanted: list[int],
    attention: bool,
    layers: bool,
    looker: Looker,
    edits: bool,
    progress: Callable[[int, int], None] | None,
) -> dict[str, Any]:
    blocks = len(runtime.model.transformer.layers)
    maps: list[list[Tensor]] = [[] for _ in range(blocks if attention else 0)]
    states: list[list[Tensor]] = [[] for _ in range(blocks if layers else 0)]
    kept: dict[str, list[Tensor]] = {"hidden": [], "action": [], "cb0": []}
    acts: dict[str, list[Tensor]] = {}
    for part in passes(runtime, trace, wanted, looker, progress, maps, states, edits=edits):
        for name in kept:
            kept[name].append(getattr(part, name))
        for name, values in part.acts.items():
            acts.setdefault(name, []).append(values)
    order = torch.tensor(order_of(wanted))
    seen: dict[str, Any] = {name: torch.cat(parts)[order].float() for name, parts in kept.items()}
    seen["attention"] = [torch.cat(parts)[order] for parts in maps]
    seen["layers"] = [torch.cat(parts)[order] for parts in states]
    seen["acts"] = {name: torch.cat(parts)[order] for name, parts in acts.items()}
    return seen


class Pass(NamedTuple):
    """What one pass of the transformer gives for those of its calls that are wanted; on the CPU."""

    calls: list[int]  # ascending
    hidden: Tensor  # [n, B, n_embd]
    action: Tensor  # [n, B, actions]
    cb0: Tensor  # [n, B, audio vocabulary]
    acts: dict[str, Tensor]  # by point [n, B, …] float32


def passes(
    runtime: RuntimeContext,
    trace: Dia2Trace,
    wanted: Sequence[int],
    looker: Looker,
    progress: Callable[[int, int], None] | None = None,
    maps: list[list[Tensor]] | None = None,
    states: list[list[Tensor]] | None = None,
    *,
    edits: bool = True,
) -> Iterator[Pass]:
    """All calls up to the last one wanted through the transformer, in chunks; those without a wanted call give nothing.

    Args:
        runtime: the checkpoint, which is computing.
        trace: what it reads.
        wanted: calls, in any order.
        looker: what is read.
        progress: called with (calls done, calls to do).
        maps: takes attention, [n, B, heads, slots] a chunk, of every layer; empty: of none.
        states: takes what follows each layer, [n, B, n_embd] a chunk, likewise.
        edits: with the run's edits of activations.
    """
    model, device = runtime.model, runtime.device
    count, branches = max(wanted) + 1, trace.model.branches
    tokens = torch.from_numpy(trace.step_tokens[:count]).long().permute(1, 2, 0).to(device)  # [B, C, calls]
    positions = torch.from_numpy(trace.column("position")[:count].astype("int64")).to(device)
    most = int(positions.max()) + 1
    state = model.new_decode_state(branches=branches, slots=count, positions=most, device=device)
    cos, sin = state.rotation
    given = activations_of(trace.run.edits) if edits else []
    written = Written(given, runtime.config, branches=branches, device=device) if given else None
    moments = moments_of(trace, count) if given else []
    for first in range(0, count, CHUNK):
        last = min(first + CHUNK, count)
        calls = [call for call in sorted(set(wanted)) if first <= call < last]
        rows = torch.tensor([call - first for call in calls], dtype=torch.int64, device=device)
        where = positions[first:last]
        slots = torch.arange(first, last, device=device)
        span = Span(state.transformer, slots, last, causal_mask(first, last - first, device))
        acts: dict[str, Tensor] = {}

        def see(layer: int, weights: Tensor, _count: int = count) -> None:
            assert maps, "only hooked where asked for"
            padded = nn.functional.pad(weights, (0, _count - weights.shape[-1]))  # later slots are not seen
            maps[layer].append(padded.permute(2, 0, 1, 3).cpu())

        own = None if written is None else written.over(moments[first:last])
        with (
            _looking(model.transformer.layers, rows, see if maps else None, states or None),
            looker.transformer(model.transformer.layers, rows, acts, own) as writes,
        ):
            out = model.transformer(tokens[:, :, first:last], (cos[where], sin[where]), span, writes=writes)
        hidden, action, cb0 = (values[:, rows].transpose(0, 1).cpu() for values in out)
        if progress is not None:
            progress(last, count)
        yield Pass(calls, hidden, action, cb0, acts)


@contextmanager
def _looking(
    blocks: nn.ModuleList,
    rows: Tensor | None,
    see: Callable[[int, Tensor], None] | None,
    states: list[list[Tensor]] | None,
) -> Iterator[None]:
    """Look at the blocks of one pass: attention weights [B, H, rows, L] into `see`, outputs into `states`."""

    def weigh(layer: int) -> Callable[[nn.Module, tuple[Any, ...], Tensor], None]:
        def hook(module: nn.Module, inputs: tuple[Any, ...], _: Tensor) -> None:
            assert see is not None, "only hooked where asked for"
            assert isinstance(module, Attention | ScheduledAttention), "what both stacks look with"
            own = 2 if isinstance(module, Attention) else 3  # what is projected, and how
            (span, mask), given = inputs[own : own + 2], inputs[:own]
            query, (key, _values) = module.project(*given)
            if span is not None:
                key = span.keys
            seen = mask[: query.shape[2]] == 0  # [T, L]: every group of query heads has the same
            if rows is not None:
                query, seen = query[:, :, rows], seen[rows]
            see(layer, attention_weights(query, key, seen))

        return hook

    def keep(layer: int) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(_: nn.Module, __: Any, out: Tensor) -> None:
            assert states is not None, "only hooked where asked for"
            part = out if rows is None else out[:, rows].transpose(0, 1)
            states[layer].append(part.float().cpu())

        return hook

    with ExitStack() as hooks:
        for layer, block in enumerate(blocks):
            if see is not None:
                assert isinstance(block, Block | DepformerBlock), "what both stacks are made of"
                attend = block.attn if isinstance(block, Block) else block.self_attention
                hooks.enter_context(attend.register_forward_hook(weigh(layer)))
            if states is not None:
                hooks.enter_context(block.register_forward_hook(keep(layer)))
        yield


def depformer(
    runtime: RuntimeContext,
    trace: Dia2Trace,
    wanted: list[int],
    hidden: Tensor,
    attention: bool,
    layers: bool,
    looker: Looker,
    *,
    edits: bool = True,
) -> dict[str, Any]:
    """What the depformer computes in some calls, by the names of a `Replay`; NaN in warm-up.

    Args:
        runtime: the checkpoint, which is computing.
        trace: with the codes that the depformer reads.
        wanted: calls.
        hidden: [n, B, n_embd] of them.
        attention: with the attention of every layer.
        layers: with what follows each layer.
        looker: what is read.
        edits: with the run's edits of activations.
    """
    model, device, branches = runtime.model.depformer, runtime.device, trace.model.branches
    stages, count = model.stages, len(wanted)
    main = [i for i, call in enumerate(wanted) if call >= trace.warmup_calls]
    block, blocks = runtime.config.model.depformer, len(model.layers) if stages else 0

    def unknown(*shape: int) -> Tensor:
        return torch.full((count, *shape), torch.nan, dtype=torch.float32)

    logits = unknown(stages, branches, model.num_codes)
    maps = [unknown(branches, block.gqa_query_heads, stages, stages) for _ in range(blocks if attention else 0)]
    states = [unknown(branches, stages, block.n_embd) for _ in range(blocks if layers else 0)]
    acts = looker.unknown(count)
    rotation = runtime.model.stage_rotation(device)
    changed = activations_of(trace.run.edits) if edits else []
    written = Written(changed, runtime.config, branches=branches, device=device) if changed else None
    moments = moments_of(trace, max(wanted) + 1) if changed else []
    for first in range(0, len(main) if stages else 0, _FRAMES):
        rows = main[first : first + _FRAMES]
        calls = [wanted[i] for i in rows]

        def twice(column: Any) -> Tensor:
            """The same for both branches: [n · B, …]."""
            return torch.from_numpy(column.astype("int64")).repeat_interleave(branches, dim=0).to(device)

        text = twice(trace.main[calls]), twice(trace.second[calls])
        size = (len(rows), branches)

        def see(layer: int, weights: Tensor, _rows: list[int] = rows, _size: tuple[int, int] = size) -> None:
            maps[layer][_rows] = weights.cpu().view(*_size, *weights.shape[1:])

        kept: list[list[Tensor]] | None = [[] for _ in model.layers] if layers else None
        given = hidden[rows].flatten(0, 1).to(device=device, dtype=runtime.dtype)
        read: dict[str, Tensor] = {}
        own = None if written is None else written.over_stages([moments[call] for call in calls])
        writes = looker.stages(len(model.layers), size, read, own)
        with _looking(model.layers, None, see if attention else None, kept):
            out = model.forward_frames(given, twice(trace.codes[calls]), text, rotation, writes)  # [n · B, K-1, codes]
        logits[rows] = out.cpu().view(*size, stages, -1).transpose(1, 2)
        for layer, parts in enumerate(kept or []):
            states[layer][rows] = parts[0].view(*size, *parts[0].shape[1:])
        for name, values in read.items():
            acts[name][rows] = values
    return {"dep": logits, "depformer_attention": maps, "depformer_layers": states, "acts": acts}


def _choices(trace: Dia2Trace, wanted: list[int], action: Tensor, cb0: Tensor, dep: Tensor) -> tuple[Tensor, Tensor]:
    """Probability and rank [n, 1 + K] of what the run chose."""
    names = draw_names(trace.model.codebooks)
    specials = special_codes(trace.model.tokens, trace.model.audio_vocabulary)
    probability = torch.full((len(wanted), len(names)), torch.nan, dtype=torch.float32)
    rank = torch.full((len(wanted), len(names)), -1, dtype=torch.int64)
    for i, call in enumerate(wanted):
        if call < trace.warmup_calls:
            continue
        config = trace.config_at(call)
        codes = torch.from_numpy(trace.codes[call].astype("int64"))
        choices = torch.cat((torch.tensor([int(trace.actions[call])]), codes))
        groups = (
            ("action", action[i][:, None], config.text, slice(0, 1)),
            ("cb0", cb0[i][:, None], config.audio, slice(1, 2)),
            ("dep", dep[i].transpose(0, 1), config.audio, slice(2, None)),
        )
        for name, logits, sampling, part in groups:
            if not logits.shape[1]:
                continue
            kept = filtered(name, logits, config, specials)  # [draws, V]
            choice = choices[part]
            probability[i, part] = choice_probabilities(kept, choice, sampling)
            rank[i, part] = (kept > kept.gather(-1, choice[:, None])).sum(dim=-1)
    return probability, rank
