"""Decoding piece by piece while a run goes on: on a GPU beside it, so that the next frame need not wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from dia2.audio.codec import Codec
from dia2.audio.finite import require_numbers
from dia2.core.streams import side_stream

Samples = Callable[[], Tensor]  # waits for [n] float32 within ±1, on the CPU; CheckpointError if they are no numbers


class StreamingDecoder(Protocol):
    """Decodes the frames of one stream, in order."""

    late: int  # pieces that are best left to be decoded while the run makes its next frame

    def begin(self, codes: Tensor) -> Samples:
        """Begin to decode the next n frames, codes [K, n]."""


def streaming_decoder(codec: Codec) -> StreamingDecoder:
    """What is best on the codec's device."""
    return Beside(codec) if codec.device.type == "cuda" else AtOnce(codec)


class AtOnce:
    """Decodes when it is asked to begin."""

    late = 0

    def __init__(self, codec: Codec) -> None:
        self._decoder, self._name = codec.stream(), codec.name

    def begin(self, codes: Tensor) -> Samples:
        """See `StreamingDecoder`."""
        samples = self._decoder.push(codes).cpu()
        return lambda: require_numbers(samples, self._name)


class Beside:
    """Decodes on a side stream of CUDA.

    The host hands a piece over while the device still draws that frame's last codebooks, and looks for its samples
    after the next frame. All memory of the decoder belongs to its stream, its first zeros included.
    """

    late = 1

    def __init__(self, codec: Codec) -> None:
        self._device, self._name = codec.device, codec.name
        self._stream = side_stream(codec.device, "codec")
        with torch.cuda.stream(self._stream):
            self._decoder = codec.stream()

    def begin(self, codes: Tensor) -> Samples:
        """See `StreamingDecoder`."""
        self._stream.wait_stream(torch.cuda.current_stream(self._device))  # which makes the codes
        with torch.cuda.stream(self._stream):
            samples = self._decoder.push(codes)
            host = torch.empty(samples.shape, dtype=samples.dtype, pin_memory=True)
            host.copy_(samples, non_blocking=True)
            arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch types it nowhere
            arrived.record(self._stream)
        codes.record_stream(self._stream)  # their memory is the run's, which may let go of them first

        def wait() -> Tensor:
            arrived.synchronize()
            # A copy: pinned memory is scarce, and the listener may keep what it hears.
            return require_numbers(host.clone(), self._name)

        return wait
