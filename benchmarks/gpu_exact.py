"""Steps of `gpu.py` that ask whether graphs compute what the eager run computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dia2 import Dia2, SamplingConfig
from dia2.core.uniforms import uniforms
from dia2.inspect import Dia2Trace, load, record
from dia2.runtime.guidance import filter_guided, forbid_specials, special_codes
from dia2.runtime.sampler import ACTION_CHANNEL, draw, probabilities

SCRIPT = "[S1] Hello there. How are you today? [S2] Not too bad, thank you."
CLOSE = 1e-3  # of the largest logit of a call: float32 sums in another order


def spoken(tts: Dia2, path: Path, **options: Any) -> tuple[Tensor, Dia2Trace]:
    """Codes and trace, with all logits, of one run."""
    with record(path, level="full"):
        result = tts.generate(SCRIPT, seed=1, **options)
    return result.audio_tokens, load(path)


def parity(device: str, folder: Path, **options: Any) -> tuple[bool, str, dict[str, Any]]:
    """float32: the tokens of an eager run and of one with `options`, from the first frame on, and every hook point."""
    tts = Dia2.nano(device=device, dtype="float32")
    tokens, eager = spoken(tts, folder / "eager")
    again, other = spoken(tts, folder / "other", **options)
    found = eager.diff(other)
    largest = max(map(max, logit_differences(eager, other, found.shared)), default=0.0)
    same = torch.equal(tokens, again) and found.same
    facts = {"calls": list(found.calls), "same calls": found.shared, "largest difference": largest}
    first = "" if found.first is None else f"; first {found.first.what}: {found.first.a} and {found.first.b}"
    said = f"{found.shared} of {max(found.calls)} calls are the same{first}; logits differ by at most {largest:.1e}"
    return same and largest <= CLOSE, said, facts


def heard(device: str) -> tuple[bool, str, dict[str, Any]]:
    """A stream with graphs, whose pieces are decoded beside the run, and the whole of the same run."""
    tts = Dia2.nano(device=device, dtype="float32")
    whole = tts.generate(SCRIPT, seed=1, use_cuda_graph=True).waveform
    chunks = [chunk.waveform for chunk in tts.stream(SCRIPT, seed=1, use_cuda_graph=True)]
    joined = torch.cat(chunks)
    same = joined.shape == whole.shape
    largest = float((joined - whole).abs().max()) if same else float("inf")
    said = f"{len(chunks)} pieces differ from the whole by at most {largest:.1e}"
    return largest <= CLOSE, said, {"pieces": len(chunks), "largest difference": largest}


def logit_differences(a: Dia2Trace, b: Dia2Trace, calls: int) -> list[list[float]]:
    """Of each call of the main loop, by point: the largest difference, relative to the largest logit."""
    return [
        [relative(value, b.logits(call)[point]) for point, value in a.logits(call).items()]
        for call in range(a.warmup_calls, calls)
    ]


def relative(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference, relative to the largest value."""
    return float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-6)) if a.size else 0.0


def rounding(device: str, folder: Path) -> tuple[bool, str, dict[str, Any]]:
    """bfloat16: where graphs part from the eager run first, and how near to the border that draw was.

    A larger margin than the difference of the logits accounts for would be a fault, so the two are told together.
    """
    tts = Dia2.nano(device=device, dtype="bfloat16")
    _, eager = spoken(tts, folder / "eager16")
    _, other = spoken(tts, folder / "other16", use_cuda_graph=True)
    parted = first_parting(eager, other)
    if parted is None:
        return True, f"all {len(eager)} calls are the same", {"calls": len(eager)}
    call, codebook = parted
    margin = margin_at(tts, eager, call, codebook)
    differences = logit_differences(eager, other, call + 1)
    facts = {"calls": len(eager), "call": call, "codebook": codebook, "margin": margin, "logits": max(differences[-1])}
    what = "the action" if codebook is None else f"codebook {codebook}"
    said = (
        f"{what} parts at call {call} of {len(eager)}, where the draw lay {margin:.2g} of probability from the border; "
        f"logits of that call differ by {facts['logits']:.1e}"
    )
    return margin < 0.05, said, facts


def first_parting(a: Dia2Trace, b: Dia2Trace) -> tuple[int, int | None] | None:
    """The first call that drew something else, and its codebook (`None`: the action); `None`: no call did."""
    for call in range(a.warmup_calls, min(len(a), len(b))):
        if a.machine_at(call).action != b.machine_at(call).action:
            return call, None
        (others,) = np.nonzero(a.codes[call] != b.codes[call])
        if len(others):
            return call, int(others[0])
    return None


def margin_at(tts: Dia2, trace: Dia2Trace, call: int, codebook: int | None) -> float:
    """How far the draw of a call was from giving another token: of the action, or of a codebook."""
    config, logits = trace.run.config, trace.logits(call)
    scale, filter_k = config.cfg_scale, config.cfg_filter_k
    data, ids = tts.runtime.config.data, tts.runtime.constants
    if codebook is None:
        kept, sampling, channel = filter_guided(_of(logits, "action"), scale, filter_k), config.text, ACTION_CHANNEL
    else:
        one = _of(logits, "cb0") if codebook == 0 else _of(logits, "dep")[codebook - 1]
        kept, sampling, channel = filter_guided(one, scale, filter_k), config.audio, 2 + codebook
        if codebook == 0:
            kept = forbid_specials(kept, one[0], special_codes(ids, data.audio_vocab_size))
    uniform = uniforms(trace.run.seed, call + 1, data.channels)[call, channel]
    return margin(kept, sampling, uniform)


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
    probs = probabilities(kept, sampling.temperature, sampling.top_k)
    choice = int(draw(kept, sampling.temperature, sampling.top_k, uniform[None]))
    upper = float(probs[: choice + 1].sum())
    return min(upper - float(uniform), float(uniform) - (upper - float(probs[choice])))


def _of(logits: dict[str, np.ndarray], name: str) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(logits[name])).float()
