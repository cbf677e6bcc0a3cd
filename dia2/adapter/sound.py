"""The sound of some codebooks alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from dia2.adapter.trace import Dia2Trace
from dia2.audio.finite import require_numbers
from dia2.common.errors import TraceError
from dia2.engine import Dia2


def codebook_samples(trace: Dia2Trace, tts: Dia2, books: Sequence[int]) -> tuple[np.ndarray, int]:
    """(waveform [N] float32, sample rate) of a run by some of its codebooks.

    Args:
        trace: whole, with its codes.
        tts: an engine with the codec that the run had.
        books: of the codebooks, in their order.

    Raises:
        TraceError: the trace's codes were redacted, or nothing was generated.
        CheckpointError: the codec computes no numbers.
    """
    codes = trace.aligned
    if not codes.shape[1]:
        raise TraceError(f"{trace.path} has no whole frame to hear.")
    runtime = tts.runtime
    with runtime.computing():
        heard = runtime.mimi.stream(list(books)).push(torch.from_numpy(codes.astype(np.int64)))
        return require_numbers(heard, runtime.mimi.name).cpu().numpy(), runtime.mimi.sample_rate
