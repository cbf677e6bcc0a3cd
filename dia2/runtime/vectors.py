"""Numbers of an edit of activations: in memory, or in a file until they are asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from dia2.common.checks import short
from dia2.common.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor


class Vector:
    """Numbers of an edit; two are the same if their numbers are."""

    shape: tuple[int, ...]  # [width], or [n, width]
    digest: str  # SHA-256 of shape and numbers

    def __init__(self, values: Any) -> None:
        """Keep a copy in float32.

        Args:
            values: [width], or [n, width]: a tensor, an array, a list.

        Raises:
            UsageError: they are no finite numbers, or of another shape.
        """
        import torch  # not where a trace is only looked at

        try:
            tensor = torch.as_tensor(values).detach().to("cpu", torch.float32, copy=True).contiguous()
        except (TypeError, ValueError, RuntimeError) as error:
            raise UsageError(f"A vector is made of numbers, not of {short(values)}.") from error
        if tensor.dim() not in (1, 2) or not tensor.numel():
            raise UsageError(f"A vector has the shape [width] or [n, width], not {list(tensor.shape)}.")
        if not bool(tensor.isfinite().all()):
            raise UsageError("A vector is made of finite numbers, and this one is not.")
        self._tensor: Tensor | None = tensor
        self._read: Callable[[Vector], np.ndarray] | None = None
        self.shape, self.digest = tuple(tensor.shape), digest_of(tensor.numpy())

    @classmethod
    def stored(cls, digest: str, shape: tuple[int, ...], read: Callable[[Vector], np.ndarray] | None = None) -> Vector:
        """One whose numbers lie somewhere else.

        Args:
            digest: of its numbers.
            shape: [width], or [n, width].
            read: gives them, checked, float32, when they are first asked for.
        """
        vector = cls.__new__(cls)
        vector._tensor, vector._read = None, read
        vector.shape, vector.digest = shape, digest
        return vector

    @property
    def here(self) -> bool:
        """The numbers are in memory."""
        return self._tensor is not None

    @property
    def tensor(self) -> Tensor:
        """[width], or [n, width] float32.

        Raises:
            UsageError: nobody has the numbers.
            TraceError: they lie in a trace, and cannot be read.
        """
        if self._tensor is None:
            if self._read is None:
                raise UsageError(f"The numbers of the vector {self.digest[:8]} are not here: give them.")
            import torch

            self._tensor = torch.from_numpy(self._read(self))
        return self._tensor

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vector) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Vector({list(self.shape)}, {self.digest[:8]})"


def digest_of(array: np.ndarray) -> str:
    """SHA-256 of shape and numbers of `array` float32."""
    return hashlib.sha256("x".join(map(str, array.shape)).encode() + array.tobytes()).hexdigest()
