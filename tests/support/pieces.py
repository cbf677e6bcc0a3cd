"""A stand-in for what decodes beside the run on a GPU: the samples are made only when somebody waits for them."""

from __future__ import annotations

import torch
from torch import Tensor

from dia2.audio.codec import Codec
from dia2.audio.streaming_decoder import Samples


class Late:
    """Like `dia2.audio.streaming_decoder.Beside`, on a CPU."""

    late = 1

    def __init__(self, codec: Codec) -> None:
        self._decoder = codec.stream()
        self._waiting: list[Tensor] = []  # begun and not yet decoded
        self.begun = self.heard = 0

    def begin(self, codes: Tensor) -> Samples:
        """Keep the codes: whoever changes them afterwards is heard."""
        number = self.begun
        self.begun += 1
        self._waiting.append(codes)

        def wait() -> Tensor:
            assert number == self.heard, "pieces are taken in order"
            self.heard += 1
            with torch.no_grad():
                return self._decoder.push(self._waiting.pop(0)).cpu()

        return wait
