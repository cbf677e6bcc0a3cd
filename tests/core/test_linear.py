"""Compiled products of few rows: the same numbers, whatever the sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from dia2.core import linear, quantize
from dia2.core.compiled import OPTIONS
from dia2.core.linear import Linear, product, sums, sums_of_bytes
from dia2.core.quantize import Int8Linear


@given(
    rows=st.integers(1, 16),
    inputs=st.one_of(st.integers(1, 40), st.sampled_from([4096, 4097, 8192, 8195])),
    outputs=st.integers(1, 13),
    seed=st.integers(0, 99),
)
def test_sums_are_the_product(rows: int, inputs: int, outputs: int, seed: int) -> None:
    chance = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, 1, inputs, generator=chance)
    weight = torch.randn(outputs, inputs, generator=chance)
    found = sums(x, weight)
    assert found.shape == (rows, 1, outputs)
    assert found.dtype == torch.float32
    assert (found - F.linear(x, weight)).abs().max() <= 1e-6 * (x.abs() @ weight.abs().T).max()
    whole = torch.randint(-127, 128, weight.shape, generator=chance, dtype=torch.int8)
    assert torch.allclose(sums(x, whole), F.linear(x, whole.float()), rtol=1e-4, atol=1e-2)


@given(
    rows=st.integers(1, 2),
    quarter=st.one_of(st.integers(1, 20), st.sampled_from([4096, 4097, 8194])),
    outputs=st.integers(1, 13),
    seed=st.integers(0, 99),
)
def test_sums_of_bytes_are_the_product(rows: int, quarter: int, outputs: int, seed: int) -> None:
    chance = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, 1, 4 * quarter, generator=chance)
    weight = torch.randint(-127, 128, (outputs, 4 * quarter), generator=chance, dtype=torch.int8)
    weight[0, ::2], weight[-1, 1::2] = -127, 127
    words = weight.view(outputs, 4, quarter).transpose(1, 2).reshape(outputs, -1).view(torch.int32)
    found, wanted = sums_of_bytes(x, words), x.double() @ weight.double().T
    assert found.shape == (rows, 1, outputs)
    assert found.dtype == torch.float32
    assert (found - wanted).abs().max() <= 1e-6 * (x.abs() @ weight.float().abs().T).max()


@pytest.mark.parametrize(
    ("rows", "compiled", "of_floats", "of_bytes"),
    [(1, True, 1, 1), (2, True, 1, 1), (3, True, 1, 0), (16, True, 1, 0), (17, True, 0, 0), (1, False, 0, 0)],
)
def test_sums_are_for_the_few_rows_of_compiled_frames(
    rows: int, compiled: bool, of_floats: int, of_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []

    def watched(form: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Any:
        def run(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
            ran.append(form.__name__)
            return form(x, weight)

        return run

    monkeypatch.setattr(linear, "in_loops", lambda _: compiled)
    monkeypatch.setattr(linear, "most_in_loops", lambda _: 16)
    monkeypatch.setattr(linear, "sums", watched(sums))
    monkeypatch.setattr(quantize, "sums_of_bytes", watched(sums_of_bytes))
    x, plain = torch.randn(rows, 1, 12).bfloat16(), Linear(12, 8).requires_grad_(False)
    out = product(x, plain.weight.bfloat16())
    assert out.dtype == torch.bfloat16
    assert torch.allclose(out.float(), F.linear(x.float(), plain.weight), atol=0.05)
    packed = Int8Linear(plain)(x.float())
    assert torch.allclose(packed, F.linear(x.float(), plain.weight), atol=0.05)
    assert ran == ["sums"] * of_floats + ["sums_of_bytes"] * of_bytes


def test_how_many_rows_are_few_depends_on_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(**facts: bool) -> list[int]:
        for name, value in facts.items():
            monkeypatch.setattr(linear, name, value)
        return [linear.most_in_loops(dtype) for dtype in (torch.float32, torch.bfloat16, torch.float16)]

    assert found(_X86=True, _BFLOAT16=True) == [8, 2, 2]
    assert found(_X86=True, _BFLOAT16=False) == [8, 16, 2]
    assert found(_X86=False, _BFLOAT16=False) == [2, 2, 2]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # inductor imports parts of torch that torch deprecates
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_compiled_product_is_the_product(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "most_in_loops", lambda _: 16)
    compiled = torch.compile(product, options=OPTIONS)
    torch.manual_seed(0)
    # Odd sizes, rows longer than one sum may be, and more rows than the compiled form is for.
    single = [(1, 7, 5), (2, 64, 12), (2, 33, 50), (2, 6144, 8), (1, 8195, 6)]
    for rows, inputs, outputs in (*single, (3, 64, 12), (8, 64, 12), (5, 6144, 8), (11, 64, 12), (17, 64, 12)):
        x, weight = torch.randn(rows, 1, inputs).to(dtype), torch.randn(outputs, inputs).to(dtype)
        ours, theirs = compiled(x, weight), product(x, weight)
        assert ours.shape == theirs.shape == (rows, 1, outputs)
        assert ours.dtype == dtype
        scale = (x.float().abs() @ weight.float().abs().T).max()
        assert (ours - theirs).abs().max() <= (1e-2 if dtype == torch.bfloat16 else 1e-6) * scale


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # likewise
@pytest.mark.parametrize("inputs", [48, 33, 4 * 4098])
def test_a_compiled_product_with_int8_weights_is_that_product(inputs: int) -> None:
    torch.manual_seed(0)
    packed = Int8Linear(Linear(inputs, 20).requires_grad_(False))
    assert (packed.words is None) == (inputs == 33)
    x = torch.randn(2, 1, inputs)
    ours = torch.compile(Int8Linear.forward, options=OPTIONS)(packed, x)
    assert torch.allclose(ours, packed(x), rtol=1e-5, atol=1e-5)


def test_a_processor_without_vectors_makes_no_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "in_loops", lambda _: True)
    assert linear.few_in_loops(torch.ones(2, 8)) == linear._VECTORS
    monkeypatch.setattr(linear, "_VECTORS", False)
    assert not linear.few_in_loops(torch.ones(2, 8))


def test_outside_of_a_compiler_nothing_is_in_loops() -> None:
    assert not linear.in_loops(torch.ones(2))
