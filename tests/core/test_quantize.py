"""Weight-only int8: a quarter of the bytes, small errors, and the rest of the model untouched."""

from __future__ import annotations

import pytest
import torch

from dia2 import Dia2, UsageError
from dia2.core import quantize as quantize_module
from dia2.core.linear import Linear
from dia2.core.quantize import Int8Linear, Kernel, quantize

from ..support.models import random_model, tiny_config


@pytest.mark.parametrize("kernel", list(Kernel))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("rows", "inputs"), [(1, 96), (2, 96), (7, 96), (8, 96), (40, 96), (1, 36), (2, 33)])
@pytest.mark.parametrize("block", [1, 1000, 1 << 20])
def test_a_product_is_off_by_the_rounding_of_its_weights(
    kernel: Kernel, dtype: torch.dtype, rows: int, inputs: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantize_module, "_BLOCK", block)
    torch.manual_seed(rows)
    linear = Linear(inputs, 50, dtype).requires_grad_(False)
    x = torch.randn(2, rows, inputs).to(dtype)
    exact = linear.weight.float()
    bound = exact.abs().amax(dim=1) / 127 / 2  # of a weight's error
    packed = Int8Linear(linear)
    packed.take(kernel, dtype)
    assert packed.weight.dtype == (dtype if kernel is Kernel.UNPACKED else torch.int8)
    ours = packed(x).float()
    theirs = x.float() @ exact.T
    most = x.float().abs().sum(dim=-1, keepdim=True) * bound
    slack = 0.02 if dtype == torch.bfloat16 else 1e-5
    assert ((ours - theirs).abs() <= most + slack * theirs.abs().max()).all()


@pytest.mark.parametrize(("inputs", "taken"), [(32, "packed"), (96, "packed"), (40, "blocks"), (33, "blocks")])
def test_torchs_product_is_only_given_rows_that_it_does_not_read_beyond(inputs: int, taken: str) -> None:
    packed = Int8Linear(Linear(inputs, 8, torch.bfloat16).requires_grad_(False))
    assert packed.kernel == taken
    packed.take(Kernel.PACKED, torch.bfloat16)
    assert packed.kernel == taken
    assert packed.kernels[0] == taken


def test_words_are_the_memory_of_the_weights() -> None:
    packed = Int8Linear(Linear(96, 50).requires_grad_(False))
    assert packed.words is not None
    assert packed.words.data_ptr() == packed.weight.data_ptr()
    packed.take(Kernel.UNPACKED, torch.float32)
    assert packed.words is None


def test_a_row_of_zeros_stays_zero() -> None:
    linear = Linear(8, 2).requires_grad_(False)
    linear.weight[0] = 0
    out = Int8Linear(linear)(torch.ones(1, 8))
    assert out[0, 0] == 0
    assert out[0, 1] == pytest.approx(float(linear.weight[1].sum()), rel=0.1, abs=0.01)


def test_all_matrices_of_both_stacks_are_packed_and_nothing_else() -> None:
    model = random_model(tiny_config()).requires_grad_(False)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    quantize(model)
    packed = {name for name, parameter in model.named_parameters() if parameter.dtype == torch.int8}
    matrices = {name for name, weight in before.items() if weight.ndim == 2}
    left = matrices - packed
    assert all("embed" in name or "_head." in name or ".logits." in name for name in left), left
    assert not any("_head." in name or ".logits." in name or name.endswith("embedding.weight") for name in packed)
    after = dict(model.named_parameters())
    assert all(torch.equal(after[name], before[name]) for name in before.keys() - packed)


def test_an_engine_packs_and_says_so() -> None:
    exact, packed = Dia2.nano(), Dia2.nano(quantize="int8")
    assert packed.runtime.weight_bytes < 0.5 * exact.runtime.weight_bytes
    assert packed.runtime.precision == "float32, int8 weights"
    assert exact.runtime.precision == "float32"
    result = packed.generate("[S1] Hello there.", seed=1)
    assert result.stop_reason == "end"
    assert torch.equal(result.audio_tokens, packed.generate("[S1] Hello there.", seed=1).audio_tokens)


def test_another_packing_is_refused() -> None:
    with pytest.raises(UsageError, match="Weights cannot be packed as 'int3': choose int8, or leave it out"):
        Dia2.nano(quantize="int3")
