"""Matrices in oneDNN's order: the same products, as long as a batch lasts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dia2.core import reordered as module
from dia2.core.compiled import OPTIONS
from dia2.core.linear import Linear, product
from dia2.core.model import Dia2Model
from dia2.core.reordered import reordered


class Pair(nn.Module):
    """A model of two matrices, each in a part of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.both = [Linear(48, 20, torch.bfloat16) for _ in range(2)]
        self.depformer, self.transformer = self.both


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Pair:
    monkeypatch.setattr(module, "multiplies_bfloat16", lambda: True)
    torch.manual_seed(0)
    return Pair().requires_grad_(False)


def twice(pair: Pair, most_bytes: int = 1 << 20, rows: int = 3) -> AbstractContextManager[None]:
    return reordered(cast(Dia2Model, pair), rows, most_bytes)


def watched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows of the products that the second copies made."""
    rows: list[int] = []
    times = module.Reordered.times

    def watch(self: module.Reordered, x: Tensor) -> Tensor:
        rows.append(x.shape[:-1].numel())
        return times(self, x)

    monkeypatch.setattr(module.Reordered, "times", watch)
    return rows


def test_products_are_the_same_and_single_runs_keep_theirs(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = watched(monkeypatch)
    with twice(pair):
        for rows in (1, 2, 3, 8, 17):
            x = torch.randn(rows, 1, 48).bfloat16()
            for linear in pair.both:
                found, wanted = linear(x), F.linear(x.float(), linear.weight.float())
                assert found.shape == (rows, 1, 20)
                assert found.dtype == torch.bfloat16
                assert (found.float() - wanted).abs().max() < 0.02 * wanted.abs().max()
    assert ran == [3, 3, 8, 8, 17, 17]
    pair.depformer(torch.randn(8, 48).bfloat16())
    assert len(ran) == 6, "the copies are gone"
    assert not module._MATRICES


def test_two_batches_of_a_model_may_overlap(pair: Pair) -> None:
    first, second = twice(pair), twice(pair)
    x = torch.randn(4, 48).bfloat16()
    first.__enter__()
    with second:
        first.__exit__(None, None, None)
        assert [len(linear.reordered.times(x)) for linear in pair.both if linear.reordered] == [4, 4]
    assert [linear.reordered for linear in pair.both] == [None, None]


def test_what_gains_nothing_has_no_copy(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    with twice(pair.float()):
        assert pair.depformer.reordered is None
    with twice(pair.bfloat16(), rows=2):
        assert pair.depformer.reordered is None
    monkeypatch.setattr(module, "multiplies_bfloat16", lambda: False)
    with twice(pair.bfloat16()):
        assert pair.depformer.reordered is None


def test_the_depformer_comes_first_where_memory_is_short(pair: Pair) -> None:
    size = pair.depformer.weight.nbytes
    for most, wanted in ((size - 1, [False, False]), (2 * size - 1, [True, False]), (2 * size, [True, True])):
        with twice(pair, most):
            assert [linear.reordered is not None for linear in pair.both] == wanted


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # inductor imports parts of torch that torch deprecates
def test_one_piece_of_compiled_code_does_for_all_matrices(pair: Pair) -> None:
    pieces: list[object] = []

    def counting(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., object]:
        pieces.append(graph)
        made: Callable[..., object] = torch._inductor.compile(graph, inputs, options=OPTIONS)
        return made

    run = torch.compile(lambda linear, x: linear(x) * 2, backend=counting)
    x = torch.randn(8, 48).bfloat16()
    with twice(pair):
        for linear in pair.both:
            wanted = product(x, linear.weight).float() * 2
            assert (run(linear, x).float() - wanted).abs().max() < 0.02 * wanted.abs().max()
    assert len(pieces) == 1
