"""Who gets kernels: runs that ask for them, where they can run, while no hook looks into the model."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace

import pytest
import torch

from dia2 import Dia2, GenerationConfig
from dia2.common.errors import UsageError
from dia2.core.kernels import attention, launch
from dia2.core.kernels import product as products
from dia2.core.kernels.launch import counted, power_of_two
from dia2.runtime.forms import KernelForm, ModuleForm, check_kernels, form_of

from ...support.models import random_model, tiny_config
from ...support.reference import Case, engine

ASKED = GenerationConfig(use_triton=True)


@pytest.fixture(autouse=True)
def _few_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "tile", lambda rows, inputs, sums: (512, power_of_two(inputs)))
    monkeypatch.setattr(attention, "_SPLITS", 1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:(invalid value|overflow) encountered:RuntimeWarning")  # NumPy's, of ∞ − ∞
@pytest.mark.parametrize("name", ["plain_cfg2", "prefix1"])
def test_a_run_in_kernels_gives_the_reference_tokens(name: str) -> None:
    case = Case("tiny8", name)
    with counted() as launches:
        result = engine("tiny8").generate(case.expected["script"], case.config(use_triton=True))
    assert torch.equal(result.audio_tokens, case.tensors["aligned"].long())
    assert launches["draw_kernel"] > 0


def test_kernels_run_only_where_they_are_asked_for() -> None:
    model = random_model(tiny_config())
    assert not GenerationConfig().use_triton
    assert isinstance(form_of(model, GenerationConfig()), ModuleForm)
    assert isinstance(form_of(model, ASKED), KernelForm)


def test_while_a_hook_looks_into_the_model_its_modules_run() -> None:
    model = random_model(tiny_config())
    for watch in (
        model.transformer.layers[1].register_forward_hook,
        model.depformer.norm.register_forward_pre_hook,
        torch.nn.modules.module.register_module_forward_hook,
        torch.nn.modules.module.register_module_forward_pre_hook,
    ):
        handle = watch(lambda *_: None)
        try:
            assert isinstance(form_of(model, ASKED), ModuleForm)
        finally:
            handle.remove()
    assert isinstance(form_of(model, ASKED), KernelForm)


def test_what_kernels_need_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu, cuda = torch.device("cpu"), torch.device("cuda", 0)
    check_kernels(ASKED, cpu)  # interpreted here
    with pytest.raises(UsageError, match="choose use_triton or use_torch_compile"):
        check_kernels(GenerationConfig(use_triton=True, use_torch_compile=True), cuda)
    monkeypatch.setattr(launch, "interpreted", lambda _: False)
    check_kernels(ASKED, cuda)
    check_kernels(GenerationConfig(), cpu)
    with pytest.raises(UsageError, match="need a CUDA device, not cpu"):
        Dia2.nano(device="cpu").generate("[S1] Hi.", use_triton=True)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match="pip install triton"):
        check_kernels(ASKED, cuda)


def test_a_launch_takes_place_on_its_tensors_device(monkeypatch: pytest.MonkeyPatch) -> None:
    current, seen = [0], []

    class Device:
        def __init__(self, device: torch.device) -> None:
            self.index = device.index

        def __enter__(self) -> None:
            current.append(self.index)

        def __exit__(self, *_: object) -> None:
            current.pop()

    kernel = SimpleNamespace(__name__="k")
    kernels = type("Kernel", (SimpleNamespace,), {"__getitem__": lambda *_: lambda *a, **k: seen.append(current[-1])})
    monkeypatch.setattr(torch.cuda, "device", Device)
    launch.launch(kernels(**vars(kernel)), (1,), torch.device("cuda", 3))
    launch.launch(kernels(**vars(kernel)), (1,), torch.device("cpu"))
    assert seen == [3, 0]
