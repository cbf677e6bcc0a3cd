"""How parts are compiled: for this processor's vectors, and for those of another only after compiling anew."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dia2.core.compiled import ON_CUDA, OPTIONS, compiled_form

pytestmark = [
    pytest.mark.slow,  # to import inductor takes seconds
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch"),  # of which some parts are deprecated
]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The options of each compilation."""
    seen: list[Any] = []

    def compile_(part: Any, options: Any) -> Any:
        seen.append(options)
        return part

    monkeypatch.setattr(torch, "compile", compile_)
    return seen


@pytest.mark.parametrize(("capability", "width"), [("avx2", 256), ("default", None)])
def test_the_width_of_vectors_is_an_option_of_a_processor(
    given: list[Any], capability: str, width: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._inductor import cpu_vec_isa

    if width is not None and not any(isa.bit_width() == width for isa in cpu_vec_isa.valid_vec_isa_list()):
        pytest.skip("a processor without AVX2, or no compiler for it")
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", capability)

    def part(x: torch.Tensor) -> torch.Tensor:
        return x

    compiled_form(part, "cpu")
    compiled_form(part, "cuda")
    compiled_form(part, "mps")
    assert given == [OPTIONS | {"cpp.simdlen": width}, ON_CUDA, None]
