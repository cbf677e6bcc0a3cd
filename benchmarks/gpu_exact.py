"""Steps of `gpu.py` that ask whether a GPU computes what a CPU does, and graphs what the eager run does.

Other kernels add up in another order, so two right runs may part where a draw lies next to a border: that two runs
are not the same says little. What is told is the first call at which they part, how far its draw lay from the border,
and how far their distributions lie apart there. A parting that this distance does not account for is a fault, and so
are logits of the same inputs that differ by more than rounding.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from gpu_figures import Report
from gpu_runs import DEVICE
from torch import Tensor

from dia2 import Dia2, SamplingConfig
from dia2.core.uniforms import uniforms
from dia2.inspect import Dia2Trace, load, record
from dia2.runtime.guidance import filter_guided, forbid_specials, special_codes
from dia2.runtime.sampler import ACTION_CHANNEL, probabilities

SCRIPT = "[S1] Hello there. How are you today? [S2] Not too bad, thank you."
CLOSE = 1e-3  # of the largest logit of a call: float32 sums in another order
ROUGH = 0.1  # the same where every intermediate value has eight bits; test checkpoints differ by up to 0.09
SLACK = 1e-6  # of probability: float32 sums of a thousand of them
GRAPHS: dict[str, Any] = {"use_cuda_graph": True}


@dataclass(frozen=True)
class Parting:
    """Where two runs with the same seed part, and what they say at the same inputs up to there."""

    calls: int  # of the shorter one
    call: int | None  # the first that drew something else; `None`: no call did
    codebook: int | None  # which draw; `None`: the action
    largest: float  # difference of logits of the same inputs, relative to the largest of the call
    typical: float  # its median over the calls
    margin: float = 0.0  # of probability: how far the uniform lay from giving another token
    moved: float = 0.0  # of probability: by how much the two cumulative distributions differ at most

    @property
    def accounted(self) -> bool:
        """The logits' difference is enough for another token."""
        return self.call is None or self.margin <= self.moved + SLACK

    @property
    def said(self) -> str:
        """In words."""
        differ = f"logits of the same inputs differ by {self.typical:.1e}, at most {self.largest:.1e}"
        if self.call is None:
            return f"all {self.calls} calls are the same; {differ}"
        what = "the action" if self.codebook is None else f"codebook {self.codebook}"
        return (
            f"{what} parts at call {self.call} of {self.calls}: its draw lay {self.margin:.1e} of probability from the "
            f"border, and the distributions differ by up to {self.moved:.1e}; {differ}"
        )


def runs(report: Report, precision: str) -> None:
    """Runs of nano on the CPU, on the GPU, and there with graphs; twice with these, and computed again from its trace.

    Args:
        report: where it is said.
        precision: float32, bfloat16, or int8 (computed with in bfloat16).
    """
    close = CLOSE if precision == "float32" else ROUGH
    dtype = "float32" if precision == "float32" else "bfloat16"
    quantized = "int8" if precision == "int8" else None
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        here, there = (Dia2.nano(device=device, dtype=dtype, quantize=quantized) for device in ("cpu", DEVICE))
        cpu = spoken(here, folder / "cpu")
        eager = spoken(there, folder / "eager")
        judged(report, "the GPU draws what the CPU draws", there, cpu, eager, close)
        graphs = spoken(there, folder / "graphs", **GRAPHS)
        judged(report, "graphs draw what the eager run draws", there, eager, graphs, close)
        again = spoken(there, folder / "again", **GRAPHS)
        same = parting(there, graphs, again)
        report.claim("graphs give the same to the bit a second time", same.call is None and not same.largest, same.said)
        for name, trace in (("eager", eager), ("graphs", graphs)):
            largest = replayed(there, trace)
            said = f"logits differ by at most {largest:.1e}, {close:.0e} is allowed"
            report.claim(f"a trace of the run ({name}) is computed again", largest <= close, said)


def compiled(report: Report) -> None:
    """Runs of nano in float32 on the GPU, eager and with compiled graphs."""
    with tempfile.TemporaryDirectory() as place:
        tts = Dia2.nano(device=DEVICE, dtype="float32")
        eager = spoken(tts, Path(place) / "eager")
        other = spoken(tts, Path(place) / "compiled", **GRAPHS, use_torch_compile=True)
        judged(report, "compiled graphs draw what the eager run draws", tts, eager, other, CLOSE)


def judged(report: Report, what: str, tts: Dia2, a: Dia2Trace, b: Dia2Trace, close: float) -> None:
    """Claim that two runs are the same but for rounding."""
    found = parting(tts, a, b)
    report.note(what, vars(found))
    if found.largest > close:
        report.claim(what, False, f"{found.said}; {close:.0e} is allowed")
    elif not found.accounted:
        report.claim(what, False, f"{found.said}, which is not enough")
    else:
        report.claim(what, True, f"{found.said}, {close:.0e} is allowed")


def spoken(tts: Dia2, path: Path, **options: Any) -> Dia2Trace:
    """The trace, with all logits, of one run."""
    with record(path, level="full"):
        tts.generate(SCRIPT, seed=1, **options)
    trace = load(path)
    assert isinstance(trace, Dia2Trace), "a run of Dia2"
    return trace


def parting(tts: Dia2, a: Dia2Trace, b: Dia2Trace) -> Parting:
    """Compare two runs of one script and seed, call by call, as far as their inputs are the same."""
    calls = min(len(a), len(b))
    where = first_parting(a, b)
    call, codebook = (None, None) if where is None else where
    last = calls if call is None else call
    differences = [difference(a.logits(i), b.logits(i)) for i in range(a.warmup_calls, last)]
    if call is None:
        return Parting(calls, None, None, max(differences), median(differences))
    # Of the call that parts, what was computed before the draw: what comes after has other inputs.
    differences.append(difference(_before(a.logits(call), codebook), _before(b.logits(call), codebook)))
    margin, moved = border(tts, a, b, call, codebook)
    return Parting(calls, call, codebook, max(differences), median(differences), margin, moved)


def first_parting(a: Dia2Trace, b: Dia2Trace) -> tuple[int, int | None] | None:
    """The first call that drew something else, and its codebook (`None`: the action); `None`: no call did."""
    for call in range(a.warmup_calls, min(len(a), len(b))):
        if a.machine_at(call).action != b.machine_at(call).action:
            return call, None
        (others,) = np.nonzero(a.codes[call] != b.codes[call])
        if len(others):
            return call, int(others[0])
    return None


def _before(logits: Mapping[str, np.ndarray], codebook: int | None) -> dict[str, np.ndarray]:
    """Those logits of a call that its draw for `codebook`, or all earlier ones, came from."""
    first = {name: logits[name] for name in ("action", "cb0")}
    return first if codebook in (None, 0) else first | {"dep": logits["dep"][:codebook]}


def difference(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> float:
    """The largest difference of a call's logits, relative to the largest of each kind."""
    return max(relative(value, b[point]) for point, value in a.items())


def relative(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference, relative to the largest value."""
    return float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-6)) if a.size else 0.0


def border(tts: Dia2, a: Dia2Trace, b: Dia2Trace, call: int, codebook: int | None) -> tuple[float, float]:
    """See `Parting.margin` and `Parting.moved`, of the draw of one call: of a codebook, or of the action."""
    config = a.run.config
    sampling = config.text if codebook is None else config.audio
    kept = [_kept(tts, trace, call, codebook) for trace in (a, b)]
    channel = ACTION_CHANNEL if codebook is None else 2 + codebook
    uniform = uniforms(a.run.seed, call + 1, tts.runtime.config.data.channels)[call, channel]
    return margin(kept[0], sampling, uniform), apart(kept[0], kept[1], sampling)


def _kept(tts: Dia2, trace: Dia2Trace, call: int, codebook: int | None) -> Tensor:
    """[V] logits after guidance that a draw was made from."""
    config, logits = trace.run.config, trace.logits(call)
    scale, filter_k = config.cfg_scale, config.cfg_filter_k
    if codebook is None:
        return filter_guided(_of(logits, "action"), scale, filter_k)
    one = _of(logits, "cb0") if codebook == 0 else _of(logits, "dep")[codebook - 1]
    kept = filter_guided(one, scale, filter_k)
    if codebook:
        return kept
    specials = special_codes(tts.runtime.constants, tts.runtime.config.data.audio_vocab_size)
    return forbid_specials(kept, one[0], specials)


def margin(kept: Tensor, sampling: SamplingConfig, uniform: Tensor) -> float:
    """By how much the uniform of a draw could move without another token (argmax: the two best logits' distance).

    Args:
        kept: [V] float32 logits after guidance.
        sampling: how it was drawn.
        uniform: a number within 0 … 1.
    """
    if sampling.temperature <= 0:
        best = kept.topk(2).values
        return float(best[0] - best[1])
    cumulative = _cumulative(kept, sampling)
    inner = cumulative[(cumulative > 0) & (cumulative < 1 - 1e-9)]
    return float((inner - uniform.double()).abs().min()) if len(inner) else 1.0


def apart(a: Tensor, b: Tensor, sampling: SamplingConfig) -> float:
    """How far the borders of two draws lie apart at most (argmax: twice the largest difference of logits)."""
    if sampling.temperature <= 0:
        finite = a.isfinite() & b.isfinite()
        return float(2 * (a - b)[finite].abs().max())
    return float((_cumulative(a, sampling) - _cumulative(b, sampling)).abs().max())


def _cumulative(kept: Tensor, sampling: SamplingConfig) -> Tensor:
    """[V] float64 upper borders of the tokens."""
    probs = probabilities(kept, sampling.temperature, sampling.top_k).double()
    return (probs / probs.sum()).cumsum(0)


def replayed(tts: Dia2, trace: Dia2Trace) -> float:
    """The largest relative difference between recorded logits and those computed again."""
    again = trace.replay(tts)
    values = {"action": again.action, "cb0": again.cb0, "dep": again.dep}
    return max(
        difference(trace.logits(call), {name: value[call].numpy() for name, value in values.items()})
        for call in range(trace.warmup_calls, len(trace))
    )


def _of(logits: Mapping[str, np.ndarray], name: str) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(logits[name])).float()
