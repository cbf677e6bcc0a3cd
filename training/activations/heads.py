"""Which head reads the text: where each looks, what each takes back, and what is lost without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dia2 import Ablate, Dia2
from dia2.adapter.trace import Dia2Trace
from dia2.analysis import ablate_heads, activation_patching, exchanges, head_table, pooled, samples
from training.activations.intervals import more_words, words_heard
from training.activations.scripts import alone
from training.activations.speaking import Bench, Case, Say
from training.activations.steering import NOTHING


@dataclass(frozen=True)
class HeadPlan:
    """How much is looked at."""

    pairs: int = 150  # of words that are exchanged
    scripts: int = 24  # spoken without a head
    seeds: int = 3


def heads(tts: Dia2, runs: Sequence[Dia2Trace], plan: HeadPlan, say: Say) -> dict[str, Any]:
    """A row for each head, those that look most at the word being spoken first.

    Args:
        tts: the checkpoint.
        runs: of scripts that it was not trained on.
        plan: how much.
        say: is told how it goes.

    Returns:
        Figures, as JSON has them.
    """
    looks = head_table(runs, tts, progress=lambda done, whole: say(f"where heads look: {done} of {whole} runs"))
    lost = ablate_heads(runs, tts, progress=lambda done, whole: say(f"without each head: {done} of {whole} runs"))
    pairs, grids = exchanges(runs, tts, plan.pairs), []
    for number, one in enumerate(pairs):
        drawn = {"drawn": one.drawn}
        grids.append(
            activation_patching(tts, runs[one.run], one.tokens, "act.*.heads", drawn, calls=one.drawn, by_head=True)
        )
        if (number + 1) % 10 == 0:
            say(f"what each head takes back: {number + 1} of {len(pairs)} pairs")
    patched = pooled(grids)
    shape = looks.on_word.shape
    taken, low, high = (values[:, 0].reshape(shape) for values in (patched.restored, patched.low, patched.high))
    rows = [
        {
            "layer": layer,
            "head": head,
            "on word": looks.on_word[layer, head],
            "by distance": looks.by_distance[layer, head],
            "excess": _found(looks.excess, looks.low, looks.high, (layer, head)),
            "takes back": _found(taken, low, high, (layer, head)),
            "cb0": _found(lost.cb0, lost.low["cb0"], lost.high["cb0"], (layer, head)),
            "action": _found(lost.action, lost.low["action"], lost.high["action"], (layer, head)),
        }
        for layer, head in looks.best(looks.on_word.size)
    ]
    places = sum(_places(values) for values in (looks.excess, taken, lost.cb0))
    reader = divmod(int(np.argmin(places)), shape[1])
    same = [(reader[0], head) for head in range(shape[1]) if head != reader[1]]
    control = min(same, key=lambda each: abs(lost.cb0[each]), default=reader)
    return {
        "rows": rows,
        "reader": list(reader),
        "control": list(control),
        "runs": looks.runs,
        "calls that speak": looks.calls,
        "calls that draw": lost.calls,
        "pairs": patched.pairs,
        "intact": dict(lost.intact),
        "nats of pairs": [patched.clean, patched.corrupted],
    }


def without(
    tts: Dia2, runs: Sequence[Dia2Trace], bench: Bench, found: dict[str, Any], plan: HeadPlan
) -> dict[str, Any]:
    """Words heard where a head gives its mean: the one that reads, and one of the same layer that is missed least.

    Args:
        tts: the checkpoint.
        runs: what the means are of.
        bench: speaks and judges.
        found: of `heads`.
        plan: how much.
    """
    layer = found["reader"][0]
    point = f"act.{layer}.heads"
    chosen = [np.arange(run.warmup_calls, len(run)) for run in runs]
    mean = samples(runs, tts, [point], chosen).values[point].mean(axis=0)  # [heads · head_dim]
    cases = [NOTHING]
    for name in ("reader", "control"):
        _, head = found[name]
        cases.append(Case(f"without the {name}, L{layer}H{head}", [Ablate(point, to=mean, heads=(head,))]))
    judged = bench.judge("test", cases, alone("test", plan.scripts), plan.seeds)
    rows = [
        {
            "case": name,
            "words": words_heard(told)._asdict(),
            "more words": more_words(told, judged[NOTHING.name])._asdict(),
        }
        for name, told in judged.items()
    ]
    return {"rows": rows, "scripts": plan.scripts, "seeds": plan.seeds}


def _found(mean: np.ndarray, low: np.ndarray, high: np.ndarray, at: tuple[int, int]) -> dict[str, float]:
    return {"mean": float(mean[at]), "low": float(low[at]), "high": float(high[at])}


def _places(values: np.ndarray) -> np.ndarray:
    """[N] of [layers, heads]: 0 for the largest, and so on."""
    flat = values.reshape(-1)
    return np.argsort(np.argsort(-flat, kind="stable"))
