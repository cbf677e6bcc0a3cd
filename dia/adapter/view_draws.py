"""What the explorer shows of the draws of a run of Dia: candidates, how they are sampled, and the run's own chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dia2.core.uniforms import uniform_table
from dia2.inspect.schema.view import Columns, Header
from dia2.inspect.schema.view_draws import (
    Candidates,
    drawn_columns,
    full_candidates,
    pack_places,
    shown_of,
    stored_candidates,
)

if TYPE_CHECKING:
    from dia.adapter.trace import DiaTrace

_EOS_CHANNEL = 0  # the only one that may end a script


def special_names(trace: DiaTrace) -> dict[str, str]:
    """Names of the ids that are no codes."""
    model = trace.model
    return {str(model.eos): "eos", str(model.pad): "PAD", str(model.bos): "BOS"}


def draw_headers(trace: DiaTrace) -> list[Header]:
    """What the front end has to know of each draw."""
    return [_header(trace, channel) for channel in _channels(trace)]


def _header(trace: DiaTrace, channel: int) -> Header:
    model = trace.model
    sampler = {"vocabulary": model.vocabulary, "forbidden": _forbidden(trace, channel)}
    if channel == _EOS_CHANNEL:
        sampler["alone"] = model.eos
    names = special_names(trace)
    return {"title": f"channel {channel}", "book": channel, "sampling": "audio", "names": names, "sampler": sampler}


def _channels(trace: DiaTrace) -> list[int]:
    """Channels whose draws were recorded."""
    return [int(name.removeprefix("channel.")) for name in trace.manifest.draws]


def _forbidden(trace: DiaTrace, channel: int) -> list[int]:
    """Ids that a channel may not draw."""
    first = trace.model.eos + (channel == _EOS_CHANNEL)
    return list(range(first, trace.model.vocabulary))


def drawn(trace: DiaTrace, script: int, candidates: int | None) -> Columns:
    """Candidates of the script's draws, which of them could have been drawn, and what decided.

    Args:
        trace: whose.
        script: from 0.
        candidates: of each draw at most; `None`: as many as a page has room for.
    """
    if not trace.manifest.draws:
        return {}
    count = (len(trace) - trace.prefill_calls) * len(trace.manifest.draws)
    shown = shown_of(count, trace.model.vocabulary, candidates, full=trace.manifest.level == "full")
    parts, temperature = [], trace.run.config.temperature
    for columns, chosen in trace.draw_parts(script, ["logits"]):
        probability = columns.get("draw.probability")
        found = _full(trace, columns.get("logits"), script, chosen, shown) or stored_candidates(columns, chosen, shown)
        made = drawn_columns(found, probability, chosen, shown, trace.model.vocabulary)
        made["draw_alive"] = np.zeros_like(made["draw_kept"])
        if found is not None and probability is not None:
            made["draw_alive"] = pack_places(alive(found, probability, chosen, temperature))
        parts.append(made)
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    table = uniform_table((trace.run.seed + script) % 2**64, len(trace), trace.model.channels)
    columns["draw_uniform"] = table[:, _channels(trace)]
    columns["draw_uniform"][: trace.prefill_calls] = np.nan
    return columns


def _full(trace: DiaTrace, logits: np.ndarray | None, script: int, chosen: np.ndarray, shown: int) -> Candidates | None:
    """The best of all candidates, of logits [n, 2B, C, V]; `None` where a shard has none."""
    if logits is None:
        return None
    channels, config = _channels(trace), trace.run.config
    uncond, cond = (logits[:, 2 * script + branch][:, channels] for branch in (0, 1))  # [n, D, V]
    with np.errstate(invalid="ignore"):  # of a damaged trace: ∞ − ∞ is NaN, which stays nobody's logit
        guided = cond + np.float32(config.cfg_scale) * (cond - uncond)
    kept = np.ones(cond.shape, bool)
    if config.cfg_filter_top_k < cond.shape[-1]:
        best = np.argpartition(-guided, config.cfg_filter_top_k - 1, axis=-1)[..., : config.cfg_filter_top_k]
        kept[:] = False
        np.put_along_axis(kept, best, True, axis=-1)
    for place, channel in enumerate(channels):
        kept[:, place, _forbidden(trace, channel)] = False
        if channel == _EOS_CHANNEL and config.temperature > 0:  # there the end is drawn where it is the best, and alone
            own = np.where(kept[:, place], cond[:, place], -np.inf)
            ends = own.argmax(-1) == trace.model.eos
            kept[:, place] &= (np.arange(own.shape[-1]) == trace.model.eos) == ends[:, None]
    return full_candidates(cond, guided, kept, chosen, shown)


def alive(found: Candidates, probability: np.ndarray, chosen: np.ndarray, temperature: float) -> np.ndarray:
    """[n, D, C] which candidates could have been drawn: kept by guidance, and within top-p too.

    Which ones top-p left, the recorded chance of the choice tells: they are the best by conditional logit, down to some
    place, and their chances sum to 1. So one that comes after all of that sum was cut.

    Args:
        found: candidates of n calls, best first.
        probability: [n, D] of what was drawn.
        chosen: [n, D] what that was.
        temperature: of the draws.
    """
    choice: np.ndarray = found.ids == chosen[:, :, None]
    if temperature <= 0:
        return choice
    cond = found.cond.astype(np.float64)
    own = np.where(choice, cond, -np.inf).max(2, keepdims=True)
    with np.errstate(invalid="ignore", over="ignore"):  # a choice may be −∞ where all are; files hold any number
        chance = probability[:, :, None] * np.exp((cond - own) / temperature)
        chance = np.where(found.kept, np.nan_to_num(chance, posinf=1.0).clip(0, 1), 0.0)
    before = chance.cumsum(2) - chance
    there: np.ndarray = choice | (found.kept & (before + chance / 2 < 1))
    return there
