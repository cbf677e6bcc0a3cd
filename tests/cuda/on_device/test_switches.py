"""Switches of CUDA's kernels: what the caller has set is what a run's end leaves, whatever it was and in any order."""

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Callable
from functools import partial

import pytest
import torch

from dia2.core.ambient import isolated

from ...support.ambient import BACKENDS, settings

CUDA, CUDNN, CPU = BACKENDS.cuda.matmul, BACKENDS.cudnn, BACKENDS.mkldnn
SETTINGS: dict[str, Callable[[], object]] = {
    "older, products": partial(setattr, CUDA, "allow_tf32", True),
    "older, no convolutions": partial(setattr, CUDNN, "allow_tf32", False),
    "high": partial(torch.set_float32_matmul_precision, "high"),
    "medium": partial(torch.set_float32_matmul_precision, "medium"),
    "all tf32": partial(setattr, BACKENDS, "fp32_precision", "tf32"),
    "all ieee": partial(setattr, BACKENDS, "fp32_precision", "ieee"),
    "products tf32": partial(setattr, CUDA, "fp32_precision", "tf32"),
    "products ieee": partial(setattr, CUDA, "fp32_precision", "ieee"),
    "cuDNN tf32": partial(setattr, CUDNN, "fp32_precision", "tf32"),
    "convolutions tf32": partial(setattr, CUDNN.conv, "fp32_precision", "tf32"),
    "convolutions ieee": partial(setattr, CUDNN.conv, "fp32_precision", "ieee"),
    "the CPU's products": partial(setattr, CPU.matmul, "fp32_precision", "bf16"),
}


def found(names: tuple[str, ...]) -> list[str]:
    """What is wrong if the caller has set these, in a process that has set nothing else."""
    try:
        for name in names:
            SETTINGS[name]()
    except RuntimeError:
        return []  # torch itself refuses the two together
    before, wrong = settings(), []
    with isolated():
        inside = settings()
    if inside["tf32"] != [False, False] or inside["precision"] != "highest":
        wrong.append(f"{names}: inside {inside['tf32']}, {inside['precision']}")
    if settings() != before:
        wrong.append(f"{names}: {before} became {settings()}")
    return wrong


@pytest.mark.slow  # 3,616 orders of settings
@pytest.mark.filterwarnings("ignore::UserWarning")  # torch would like the newer ones to be used
def test_no_old_switch_fails_in_a_run_and_all_come_back() -> None:
    """What Inductor reads, `torch.backends.cuda.matmul.allow_tf32`, among them."""
    orders = [(), *((name,) for name in SETTINGS), *itertools.permutations(SETTINGS, 2)]
    with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        assert [wrong for some in pool.imap(found, orders, chunksize=1) for wrong in some] == []


@pytest.mark.parametrize("on", [True, False])
def test_cudnn_plans_no_attention_while_a_run_computes(on: bool) -> None:
    cuda, before = BACKENDS.cuda, BACKENDS.cuda.cudnn_sdp_enabled()
    cuda.enable_cudnn_sdp(on)
    try:
        with isolated():
            assert not cuda.cudnn_sdp_enabled()
            with isolated():
                assert not cuda.cudnn_sdp_enabled()
            assert not cuda.cudnn_sdp_enabled()
        assert cuda.cudnn_sdp_enabled() == on
        with pytest.raises(ZeroDivisionError), isolated():
            _ = 1 / 0
        assert cuda.cudnn_sdp_enabled() == on
    finally:
        cuda.enable_cudnn_sdp(before)
