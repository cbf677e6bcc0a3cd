"""The step of `gpu.py` about sound while it is made: how soon it comes, and how fast beside the run."""

from __future__ import annotations

import torch
from gpu_exact import CLOSE, SCRIPT
from gpu_figures import Report
from gpu_runs import DEVICE, Heard, checkpoint, in_turns, with_codec

from dia2 import Dia2
from dia2.audio.streaming_decoder import AtOnce, Beside

AGAIN = 5  # beginnings of streams whose graphs are kept


def measure(report: Report, shape: str, seconds: float) -> None:
    """The first piece; pieces a second decoded beside the run and between its frames, by a codec of Mimi's size."""
    joined(report)
    target = with_codec(checkpoint(shape, "bfloat16"))
    stream = Heard(target, Beside)
    report.figure("the first piece, everything new", 1000 * stream.begin(), "ms")
    report.spread("the first piece, graphs kept", [1000 * stream.begin() for _ in range(AGAIN)], "ms")
    stream.close()
    found = in_turns({"beside": Heard(target, Beside), "between": Heard(target, AtOnce)}, seconds)
    report.rate("decoded beside the run", found["beside"], "pieces/s")
    report.rate("decoded between frames", found["between"], "pieces/s")
    report.faster("decoding beside the run", found["beside"], "between frames", found["between"])


def joined(report: Report, device: str = DEVICE) -> None:
    """A stream with graphs, whose pieces are decoded beside the run, and the whole of the same run."""
    tts = Dia2.nano(device=device, dtype="float32")
    whole = tts.generate(SCRIPT, seed=1, use_cuda_graph=True).waveform
    pieces = [chunk.waveform for chunk in tts.stream(SCRIPT, seed=1, use_cuda_graph=True)]
    sound = torch.cat(pieces)
    if sound.shape != whole.shape:
        report.claim("the pieces of a stream are the whole", False, f"{len(sound)} and {len(whole)} samples")
        return
    largest = float((sound - whole).abs().max())
    said = f"{len(pieces)} pieces differ from it by at most {largest:.1e}, {CLOSE:.0e} is allowed"
    report.claim("the pieces of a stream are the whole", largest <= CLOSE, said)
