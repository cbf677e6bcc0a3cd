"""Marks by which a result that was kept knows whether the tensors it came from are still the same."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

Version = tuple[tuple[int, int], ...]


def version_of(tensors: Iterable[Tensor]) -> Version:
    """Differs once one of `tensors` lies elsewhere or was written to in place (but for writes through `.data`).

    Reading no values, it costs microseconds. Tensors made under `torch.inference_mode` count no writes.
    """
    return tuple((tensor.data_ptr(), -1 if tensor.is_inference() else tensor._version) for tensor in tensors)
