"""Compiled products of few rows: the same numbers, whatever the sizes."""

from __future__ import annotations

import pytest
import torch

from dia2.core.compiled import OPTIONS
from dia2.core.linear import Linear, product
from dia2.core.quantize import Int8Linear


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # inductor imports parts of torch that torch deprecates
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_compiled_product_is_the_product(dtype: torch.dtype) -> None:
    compiled = torch.compile(product, options=OPTIONS)
    torch.manual_seed(0)
    # Odd sizes, rows longer than one sum may be, and more rows than the compiled form is for.
    for rows, inputs, outputs in ((1, 7, 5), (2, 64, 12), (2, 33, 50), (2, 6144, 8), (1, 8195, 6), (3, 64, 12)):
        x, weight = torch.randn(rows, 1, inputs).to(dtype), torch.randn(outputs, inputs).to(dtype)
        ours, theirs = compiled(x, weight), product(x, weight)
        assert ours.shape == theirs.shape == (rows, 1, outputs)
        assert ours.dtype == dtype
        scale = (x.float().abs() @ weight.float().abs().T).max()
        assert (ours - theirs).abs().max() <= (1e-2 if dtype == torch.bfloat16 else 1e-6) * scale


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # likewise
def test_a_compiled_product_with_int8_weights_is_that_product() -> None:
    torch.manual_seed(0)
    packed = Int8Linear(Linear(48, 20).requires_grad_(False))
    x = torch.randn(2, 1, 48)
    ours = torch.compile(Int8Linear.forward, options=OPTIONS)(packed, x)
    assert torch.allclose(ours, packed(x), rtol=1e-5, atol=1e-5)
