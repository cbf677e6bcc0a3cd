"""What a stream remembers of what it has seen."""

from __future__ import annotations

from torch import Tensor, nn


class Past:
    """The state of one stream: each layer keeps here, under itself, what its next outputs still depend on.

    That is bounded, however long the stream. What is computed whole is a stream of one piece, whose past is empty.
    """

    def __init__(self) -> None:
        self.positions = 0  # that the transformer has seen
        self.kept: dict[nn.Module, Tensor] = {}  # of convolutions, see there: [1, C, a few]
        self.heads: dict[nn.Module, tuple[Tensor, Tensor]] = {}  # keys and values in the window: [1, H, < window, D]
