"""The cache: zeros throughout, in memory of its own that is taken when it is written to."""

from __future__ import annotations

import resource

import pytest
import torch

from dia2.core.cache import KVCache


def cache(slots: int, dtype: torch.dtype = torch.float32) -> KVCache:
    device = torch.device("cpu")
    return KVCache(layers=3, batch=2, heads=2, slots=slots, head_dim=8, dtype=dtype, device=device)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_a_cache_begins_with_zeros(dtype: torch.dtype) -> None:
    for _ in range(2):  # memory of one that is gone, too
        fresh = cache(50, dtype)
        for part in (fresh.keys, fresh.values):
            assert part.shape == (3, 2, 2, 50, 8)
            assert part.dtype == dtype
            assert part.is_contiguous()
            assert not part.any()
            assert part.data_ptr() % 64 == 0  # as torch's own: what lies askew may be added up in another order
            part.fill_(float("nan"))


def test_keys_values_and_caches_lie_apart() -> None:
    first, second = cache(50), cache(50)
    first.keys.fill_(1)
    assert not first.values.any()
    assert not second.keys.any()


def test_memory_is_taken_slot_by_slot() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    large = cache(1 << 19)  # 200 MB each of keys and values
    assert large.keys.nbytes > 200e6
    large.keys[:, :, :, :4] = 1
    large.values[:, :, :, :4] = 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 2000  # pages
    assert large.keys[:, :, :, :8].sum() == 3 * 2 * 2 * 4 * 8
