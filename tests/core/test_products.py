"""Which kernel multiplies by packed weights: the rule, and the race that it decides by."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch

from dia2 import Dia2
from dia2.core import products
from dia2.core.linear import Linear
from dia2.core.products import choose, race, said, settled, take, uses, usual
from dia2.core.quantize import Int8Linear, Kernel, Shape, quantize

from ..support.models import random_model, tiny_config

PACKED, BLOCKS, UNPACKED = Kernel.PACKED, Kernel.BLOCKS, Kernel.UNPACKED


def packed(outputs: int = 40, inputs: int = 64, dtype: torch.dtype = torch.float32) -> Int8Linear:
    torch.manual_seed(0)
    return Int8Linear(Linear(inputs, outputs, dtype).requires_grad_(False))


@pytest.mark.parametrize(
    ("times", "before", "taken"),
    [
        ({PACKED: 1.0, BLOCKS: 2.0, UNPACKED: 3.0}, PACKED, PACKED),
        ({PACKED: 2.0, BLOCKS: 1.0, UNPACKED: 3.0}, PACKED, BLOCKS),
        ({PACKED: 1.05, BLOCKS: 1.0, UNPACKED: 3.0}, PACKED, PACKED),  # no clear winner: the usual one
        ({PACKED: 1.05, BLOCKS: 1.0, UNPACKED: 3.0}, BLOCKS, BLOCKS),
        ({PACKED: 1.04, BLOCKS: 9.0, UNPACKED: 1.0}, PACKED, PACKED),  # bytes are worth five percent
        ({PACKED: 1.06, BLOCKS: 9.0, UNPACKED: 1.0}, PACKED, UNPACKED),
        ({PACKED: 1.08, BLOCKS: 1.02, UNPACKED: 1.0}, PACKED, UNPACKED),
        ({BLOCKS: 1.0, UNPACKED: 3.0}, PACKED, BLOCKS),  # a device, or a shape, without the usual one
        ({UNPACKED: 1.0}, PACKED, UNPACKED),
    ],
)
def test_the_rule(times: dict[Kernel, float], before: Kernel, taken: Kernel) -> None:
    assert settled({(2, 3): times}, {(2, 3): 7}, before) == {(2, 3): taken}


@pytest.mark.parametrize(("uses", "taken"), [(1, (UNPACKED, UNPACKED)), (50, (PACKED, BLOCKS))])
def test_all_are_packed_or_none_by_what_a_frame_takes(uses: int, taken: tuple[Kernel, Kernel]) -> None:
    races = {(2, 3): {PACKED: 5.0, BLOCKS: 9.0, UNPACKED: 1.0}, (4, 5): {PACKED: 3.0, BLOCKS: 1.0, UNPACKED: 2.0}}
    assert tuple(settled(races, {(2, 3): 1, (4, 5): uses}, PACKED).values()) == taken


def test_what_is_usual() -> None:
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert [usual(dtype, cpu) for dtype in (torch.bfloat16, torch.float32)] == [PACKED, BLOCKS]
    assert usual(torch.float32, cuda) is PACKED


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("inputs", "entrants"), [(64, {PACKED, BLOCKS, UNPACKED}), (36, {BLOCKS, UNPACKED})])
def test_a_race_leaves_the_matrix_as_it_was(dtype: torch.dtype, inputs: int, entrants: set[Kernel]) -> None:
    linear = packed(inputs=inputs, dtype=dtype)
    before, kernel = linear.weight.clone(), linear.kernel
    times = race(linear, dtype, cold=True)
    assert times.keys() == entrants
    assert all(0 < seconds < 1 for seconds in times.values())
    assert torch.equal(linear.weight, before)
    assert linear.kernel is kernel
    assert linear.words is not None


def test_the_shortest_turn_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    linear, clock, slow = packed(), [0.0], iter([9.0, 2.0, 7.0, 3.0, 9.0, 9.0, 9.0])
    spent = {UNPACKED: [4.0] * 7, BLOCKS: [5.0] * 7, PACKED: list(slow)}
    ran: list[Kernel] = []

    def times(self: Int8Linear, x: torch.Tensor, kernel: Kernel) -> torch.Tensor:
        ran.append(kernel)
        if len(ran) > 3:  # before, each is asked whether it works
            clock[0] += spent[kernel].pop(0)
        return torch.ones(len(x), self.shape[0])

    monkeypatch.setattr(Int8Linear, "times", times)
    monkeypatch.setattr("dia2.core.products.time.perf_counter", lambda: clock[0])
    assert race(linear, torch.float32, cold=False) == {UNPACKED: 4.0, PACKED: 2.0, BLOCKS: 5.0}


def refuse(*_: Any) -> torch.Tensor:
    raise NotImplementedError("no such kernel here")


def garbage(x: torch.Tensor, weight: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    return torch.full((len(x), len(weight)), torch.nan)


@pytest.mark.parametrize("kernel", [refuse, garbage])
def test_a_kernel_that_does_not_work_takes_no_part(kernel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "_weight_int8pack_mm", kernel)
    assert race(packed(), torch.float32, cold=False).keys() == {BLOCKS, UNPACKED}


def test_every_shape_is_raced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(tiny_config()).requires_grad_(False)
    quantize(model)
    raced = []

    def won(linear: Int8Linear, dtype: torch.dtype, *, cold: bool) -> dict[Kernel, float]:
        raced.append(linear.shape)
        assert (dtype, cold) == (torch.float32, False)
        return {BLOCKS: 1.0, UNPACKED: 2.0}

    monkeypatch.setattr(products, "race", won)
    chosen = choose(model)
    assert sorted(raced) == sorted(chosen) == sorted(uses(model))
    assert set(chosen.values()) == {BLOCKS}
    before = sum(p.numel() * p.element_size() for p in model.parameters())
    assert set(take(model, dict.fromkeys(chosen, UNPACKED)).values()) == {UNPACKED}
    assert sum(p.numel() * p.element_size() for p in model.parameters()) > before


def test_uses_are_the_products_of_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    tts = Dia2.nano(quantize="int8")
    runtime, seen = tts.runtime, Counter[Shape]()
    times = Int8Linear.times

    def counted(self: Int8Linear, x: torch.Tensor, kernel: Kernel) -> torch.Tensor:
        seen[self.shape] += 1
        return times(self, x, kernel)

    monkeypatch.setattr(Int8Linear, "times", counted)
    frames = tts.generate("[S1] Hi.", seed=1).frames
    assert seen == Counter({shape: count * frames for shape, count in uses(runtime.model).items()})


def test_what_was_chosen_is_said_in_a_line() -> None:
    assert said({(2, 3): PACKED, (4, 5): PACKED}) == "packed"
    assert said({(4, 5): BLOCKS, (2, 3): PACKED, (1, 9): BLOCKS}) == "blocks 1×9, 4×5; packed 2×3"
