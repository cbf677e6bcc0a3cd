"""The caches begin with whatever is in memory: no slot may be read before it is written."""

from __future__ import annotations

import math

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from dia2.core.cache import KVCache, Span, additive_mask, whole_rows

from ..support.dia import DiaCase, dia5
from ..support.graphs import FakeGraphs, use_dia_graphs, use_graphs
from ..support.memory import used_memory
from ..support.reference import Case, engine

CPU = torch.device("cpu")


def test_clearing_fills_all_of_a_cache_with_zeros() -> None:
    with used_memory():
        cache = KVCache(layers=2, batch=1, heads=2, slots=5, head_dim=4, dtype=torch.float32, device=CPU)
    assert cache.keys.isnan().all()
    assert cache.values.isnan().all()
    cache.clear()
    assert not cache.keys.any()
    assert not cache.values.any()


def test_a_slot_of_each_row_is_written_in_place() -> None:
    """`scatter_` copied the cache, to and fro."""
    cache = KVCache(layers=2, batch=8, heads=8, slots=512, head_dim=128, dtype=torch.bfloat16, device=CPU)
    cache.clear()
    both, slots = torch.randn(2, 8, 8, 1, 128).bfloat16(), 3 * torch.arange(8)[:, None]
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as seen:
        Span(cache, slots, 512).layer(1).append(both)
    copied = [
        math.prod(shape) for event in seen.events() if event.name == "aten::copy_" for shape in event.input_shapes
    ]
    assert max(copied, default=0) <= both.numel()
    written = cache.both[1].clone()
    for row in range(8):
        assert torch.equal(written[:, row, :, 3 * row], both[:, row, :, 0])
        written[:, row, :, 3 * row] = 0
    assert not written.any()
    assert not cache.both[0].any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("frames", [1, 3])
def test_a_mask_that_is_added_hides_what_may_not_be_seen(frames: int, dtype: torch.dtype) -> None:
    mask = torch.tensor([[True, False, True, False], [False, True, True, True], [True, True, False, False]])[:frames]
    added = additive_mask(mask, 2, dtype)
    assert added.dtype == dtype
    rows = mask.tolist() * 2  # every query head of a group sees the same
    assert added.tolist() == [[0.0 if seen else -torch.inf for seen in row] for row in rows]


@pytest.mark.parametrize(("slots", "whole"), [(1, 16), (15, 16), (16, 16), (17, 32), (1500, 1504)])
def test_rows_of_a_mask_are_whole_sixteens(slots: int, whole: int) -> None:
    assert whole_rows(slots) == whole


@pytest.mark.parametrize("graphs", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.parametrize("name", [pytest.param("plain_cfg2", marks=pytest.mark.slow), "prefix2"])
def test_dia2_reads_nothing_that_it_has_not_written(name: str, graphs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    case, tts = Case("tiny3", name), engine("tiny3")
    if graphs:
        use_graphs(monkeypatch, tts, FakeGraphs())
    with used_memory():
        result = tts.generate(case.expected["script"], case.config(use_cuda_graph=graphs))
    assert torch.equal(result.audio_tokens, case.tensors["aligned"].long())


@pytest.mark.filterwarnings("ignore:Script 2 has 74 bytes")  # one of the texts is too long on purpose
@pytest.mark.parametrize("graphs", [False, True])
@pytest.mark.parametrize("name", ["single", "batch_prompts"])
def test_dia_reads_nothing_that_it_has_not_written(name: str, graphs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    case, dia = DiaCase(name), dia5()
    if graphs:
        use_dia_graphs(monkeypatch, dia, FakeGraphs)
    with used_memory():
        result = dia.speak(case.expected["text"], **case.settings(use_cuda_graph=graphs))
    for i, spoken in enumerate(result.scripts):
        assert torch.equal(spoken.codes, case.tensors[f"codes.{i}"].long())
