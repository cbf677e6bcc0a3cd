"""Replay: the tokens in a trace of Dia determine every tensor of its run; see `dia2.adapter.replay`.

Script by script, one many-rows pass over all rows up to the last one asked for, in chunks. Logits agree with recorded
ones to 1e-4 of a channel's largest in float32, and the draws that follow from them are those of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from inspect import unwrap
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dia.adapter.facts import SHAPING, model_facts
from dia.adapter.facts import fingerprint as dia_fingerprint
from dia.adapter.trace import DiaTrace
from dia.layers import DecoderLayer, DiaModel
from dia.loop import encode
from dia.model import Dia
from dia.sampling import choose, kept_logits
from dia.state import DecoderInferenceState
from dia2.common.brief import brief_repr
from dia2.common.checks import short
from dia2.common.errors import UsageError
from dia2.common.hooks import PointFilter
from dia2.core.cache import causal_mask
from dia2.core.layers import attention_weights
from dia2.core.uniforms import uniforms
from dia2.inspect.store.fingerprint import check_same
from dia2.inspect.trace.replaying import CHUNK, check_size, chosen_calls, digest, order_of, refuse_options

Maps = list[list[Tensor]]  # per layer: parts [n, 2, heads, …], one a pass


@dataclass(frozen=True)
class DiaReplay:
    """Tensors of n calls and b scripts, float32 on the CPU. Rows 2b: for each script unconditional first."""

    __repr__ = brief_repr

    calls: list[int]
    scripts: list[int]
    logits: Tensor  # [n, 2b, C, V]
    drawn: Tensor  # [n, b, C] int64, drawn once more; −1 in prefill, which draws nothing
    self_attention: list[Tensor] = field(default_factory=list)  # per layer [n, 2b, heads, rows], if asked for
    cross_attention: list[Tensor] = field(default_factory=list)  # per layer [n, 2b, heads, S], likewise
    read: str = ""  # what it was computed from, see `dia2.inspect.trace.replaying.digest`


def replay(
    trace: DiaTrace,
    dia: Dia,
    calls: Sequence[int] | slice | None = None,
    *,
    scripts: Sequence[int] | None = None,
    attention: bool = False,
    layers: bool = False,
    points: PointFilter = (),
    edits: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> DiaReplay:
    """Compute the tensors of some calls again.

    Args:
        trace: of any level.
        dia: the checkpoint that made it, with or without its codec.
        calls: which; `None`: all.
        scripts: which; `None`: all.
        attention: also the attention of every layer and head, to rows and to the text.
        layers: not of Dia.
        points: likewise.
        edits: likewise.
        progress: likewise.

    Raises:
        UsageError: another checkpoint, or more would come back than memory should be asked for.
        TraceError: there is no such call or script.
    """
    if not isinstance(dia, Dia):
        raise UsageError(f"{trace.path} is a trace of Dia: replay it by a Dia, not {short(dia)}.")
    refuse_options(trace, layers=layers, points=points, edits=not edits, progress=progress)
    wanted = chosen_calls(trace, calls)
    chosen = [trace.check_script(script) for script in (range(trace.run.batch) if scripts is None else scripts)]
    with dia.computing():
        check_dia(trace, dia)
        _check_size(trace, wanted, chosen, attention)
        parts = [_script(trace, dia, script, wanted, attention) for script in chosen]
        logits, drawn, own, cross = zip(*parts, strict=True)
        return DiaReplay(
            calls=wanted,
            scripts=chosen,
            logits=torch.cat(logits, dim=1),
            drawn=torch.cat(drawn, dim=1),
            self_attention=[torch.cat(layer, dim=1) for layer in zip(*own, strict=True)],
            cross_attention=[torch.cat(layer, dim=1) for layer in zip(*cross, strict=True)],
            read=read_by(trace, max(wanted) + 1),
        )


def read_by(trace: DiaTrace, calls: int) -> str:
    """`digest` of what the first so many rows of a trace read, the encoder's text included."""
    texts = [np.frombuffer(bytes(text), np.uint8) for text in trace.run.text_bytes]
    return digest(trace.run.hashes, trace.tokens[:calls], *texts)


def check_dia(trace: DiaTrace, dia: Dia) -> None:
    """Refuse a checkpoint that did not make the trace.

    Raises:
        UsageError: config or weights are others.
    """
    check_same(trace.path, dia_fingerprint(dia.source, codec=False), trace.run.hashes)
    check_same(trace.path, model_facts(dia), asdict(trace.model), SHAPING)  # a trace may have no hashes, or wrong ones


def _check_size(trace: DiaTrace, calls: list[int], scripts: list[int], attention: bool) -> None:
    model = trace.model
    per_call = model.channels * model.vocabulary
    if attention:
        per_call += model.decoder_layers * (model.heads * (max(calls) + 1) + model.cross_heads * trace.run.text_length)
    check_size(4 * per_call * 2 * len(scripts) * len(calls), "replay(dia, range(300, 320))")


def _script(
    trace: DiaTrace, dia: Dia, script: int, wanted: list[int], attention: bool
) -> tuple[Tensor, Tensor, list[Tensor], list[Tensor]]:
    """Logits [n, 2, C, V], draws [n, 1, C], and attention of every layer [n, 2, heads, rows] and [n, 2, heads, S]."""
    model, device, count = dia.model, dia.device, max(wanted) + 1
    text, mask = _text(trace, script, dia.config.data.text_pad_value)
    encoded, text_mask = unwrap(encode)(
        model, text, mask
    )  # looking is no phase of a run that may be recorded meanwhile
    state = DecoderInferenceState.new(
        dia.config, rows=2, slots=count, text=text.shape[1], dtype=model.dtype, device=device
    )
    state.take_text(model.decoder.keys_values(encoded), text_mask)
    tokens = torch.from_numpy(trace.tokens[:count, script]).long().to(device)[None].expand(2, -1, -1)  # [2, rows, C]
    logits = []
    layers = len(model.decoder.layers)
    own: Maps = [[] for _ in range(layers if attention else 0)]
    cross: Maps = [[] for _ in range(layers if attention else 0)]
    for first in range(0, count, CHUNK):
        last = min(first + CHUNK, count)
        here = [call - first for call in sorted(set(wanted)) if first <= call < last]
        rows = torch.tensor(here, dtype=torch.int64, device=device)
        slots = torch.arange(first, last, device=device)
        seen = causal_mask(first, last - first, device)
        with _looking(model, rows, own if here else [], cross, count):  # of no rows there are no maps
            hidden = model.decoder(
                tokens[:, first:last], state.rotation_of(slots), state, slots, last, seen[None]
            )  # [2, T, width]
        logits.append(model.decoder.logits(hidden[:, rows]).transpose(0, 1).cpu())
    order = torch.tensor(order_of(wanted))
    found = torch.cat(logits)[order]
    rows_seen, text_seen = ([torch.cat(parts)[order] for parts in maps] for maps in (own, cross))
    return found, _drawn(trace, script, wanted, found)[:, None], rows_seen, text_seen


def _text(trace: DiaTrace, script: int, pad: int) -> tuple[Tensor, Tensor]:
    """Bytes and mask [1, S] of a script, as long as the longest of its run."""
    own, longest = trace.run.text_bytes[script], trace.run.text_length
    tokens = torch.tensor([own + [pad] * (longest - len(own))])
    return tokens, torch.arange(longest)[None] < len(own)


def _drawn(trace: DiaTrace, script: int, wanted: list[int], logits: Tensor) -> Tensor:
    """What logits [n, 2, C, V] give with the run's own chance: [n, C], −1 in prefill."""
    config, model = trace.run.config, trace.model
    chance = uniforms((trace.run.seed + script) % 2**64, max(wanted) + 1, model.channels)[wanted]  # [n, C]
    keep = config.cfg_filter_top_k
    kept = kept_logits(logits.transpose(0, 1), cfg_scale=config.cfg_scale, keep=keep, eos=model.eos)[0]  # [n, C, V]
    drawn = choose(kept, chance, temperature=config.temperature, top_p=config.top_p, top_k=keep, eos=model.eos)
    given = torch.tensor(wanted) < trace.prefill_calls
    return drawn.masked_fill(given[:, None], -1)


@contextmanager
def _looking(model: DiaModel, rows: Tensor, own: Maps, cross: Maps, count: int) -> Iterator[None]:
    """Look at the layers of one pass: attention of `rows` into `own` [n, 2, H, count] and `cross` [n, 2, H, S]."""

    def look(number: int) -> Callable[[nn.Module, tuple[Any, ...], Tensor], None]:
        def to_rows(layer: nn.Module, inputs: tuple[Any, ...], _: Tensor) -> None:
            assert isinstance(layer, DecoderLayer), "what the decoder is made of"
            x, rotation, cache, _slots, length, mask, *_text = inputs
            query, _key, _value = layer.self_attention.project(layer.pre_sa_norm(x), rotation)
            weights = attention_weights(query[:, :, rows], cache.keys[:, :, :length], mask[0, rows])
            padded = nn.functional.pad(weights, (0, count - length))  # later rows are not seen
            own[number].append(padded.permute(2, 0, 1, 3).cpu())

        return to_rows

    def read(number: int) -> Callable[[nn.Module, tuple[Any, ...], Tensor], None]:
        def to_text(module: Any, inputs: tuple[Any, ...], _: Tensor) -> None:
            x, text, mask = inputs
            query = module.split(module.q_proj(x))[:, :, rows]
            seen = None if mask is None else mask[:, None, None]  # [2, 1, 1, 1, S]
            cross[number].append(attention_weights(query, text.keys, seen).permute(2, 0, 1, 3).cpu())

        return to_text

    layers: Any = model.decoder.layers
    with ExitStack() as hooks:
        for number in range(len(own)):
            hooks.enter_context(layers[number].register_forward_hook(look(number)))
            hooks.enter_context(layers[number].cross_attention.register_forward_hook(read(number)))
        yield
