"""What activations tell: a run of Dia2 read layer by layer, head by head, feature by feature.

from dia2 import analysis

analysis.logit_lens(trace, tts)  # what would be drawn after each layer
analysis.probe("speaker", train, test, tts)  # what can be read where, beside baselines
voice = analysis.difference_of_means(traces, tts, "act.2.resid", where=2, minus=1)

All of it is computed by replay, from a trace's tokens and in the conditional branch; docs/reading-activations.md goes
through it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dia2.adapter.activations import Activations, activations, load_activations
    from dia2.analysis.ablation import HeadAblation, ablate_heads
    from dia2.analysis.attribution import Attribution, direct_logit_attribution
    from dia2.analysis.dashboard import Dashboard
    from dia2.analysis.directions import Direction, difference_of_means
    from dia2.analysis.exchange import Exchange, exchange_word, exchanges
    from dia2.analysis.firing import Features, FeatureScore, Moment, Told, feature_scores, feature_table
    from dia2.analysis.gather import Samples, samples
    from dia2.analysis.labels import Labels, SpokenWord, labels_of
    from dia2.analysis.lens import LogitLens, TunedLens, fit_lens, logit_lens
    from dia2.analysis.patching import PatchingGrid, PooledGrid, activation_patching, pooled
    from dia2.analysis.patterns import AttentionPattern, HeadTable, attention_pattern, head_table
    from dia2.analysis.probes import ProbeScores, probe
    from dia2.analysis.sae import Sae
    from dia2.analysis.strength import StrengthCurve, strength_curve

_HOMES = {
    "dia2.adapter.activations": ("Activations", "activations", "load_activations"),
    "dia2.analysis.ablation": ("HeadAblation", "ablate_heads"),
    "dia2.analysis.attribution": ("Attribution", "direct_logit_attribution"),
    "dia2.analysis.dashboard": ("Dashboard",),
    "dia2.analysis.directions": ("Direction", "difference_of_means"),
    "dia2.analysis.exchange": ("Exchange", "exchange_word", "exchanges"),
    "dia2.analysis.firing": ("FeatureScore", "Features", "Moment", "Told", "feature_scores", "feature_table"),
    "dia2.analysis.labels": ("Labels", "SpokenWord", "labels_of"),
    "dia2.analysis.lens": ("LogitLens", "TunedLens", "fit_lens", "logit_lens"),
    "dia2.analysis.patching": ("PatchingGrid", "PooledGrid", "activation_patching", "pooled"),
    "dia2.analysis.patterns": ("AttentionPattern", "HeadTable", "attention_pattern", "head_table"),
    "dia2.analysis.probes": ("ProbeScores", "probe"),
    "dia2.analysis.sae": ("Sae",),
    "dia2.analysis.strength": ("StrengthCurve", "strength_curve"),
    "dia2.analysis.gather": ("Samples", "samples"),
}
__all__ = [
    "Activations",
    "AttentionPattern",
    "Attribution",
    "Dashboard",
    "Direction",
    "Exchange",
    "FeatureScore",
    "Features",
    "HeadAblation",
    "HeadTable",
    "Labels",
    "LogitLens",
    "Moment",
    "PatchingGrid",
    "PooledGrid",
    "ProbeScores",
    "Sae",
    "Samples",
    "SpokenWord",
    "StrengthCurve",
    "Told",
    "TunedLens",
    "ablate_heads",
    "activation_patching",
    "activations",
    "attention_pattern",
    "difference_of_means",
    "direct_logit_attribution",
    "exchange_word",
    "exchanges",
    "feature_scores",
    "feature_table",
    "fit_lens",
    "head_table",
    "labels_of",
    "load_activations",
    "logit_lens",
    "pooled",
    "probe",
    "samples",
    "strength_curve",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(home), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
