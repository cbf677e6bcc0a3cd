"""Inside of `isolated` torch is as a run wants it, and afterwards as the caller had it: each piece of both."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from dia2.core.ambient import _counts, isolated, threads_for
from dia2.core.chance import own_chance

from ..support.ambient import BACKENDS, STATES, ambient, chance, precise, settings

CPU = torch.device("cpu")
SMALL, LARGE = 64 << 20, (64 << 20) + 1  # bytes of weights
ONLY_CUDA = "cuda conv", "cuda rnn"  # ten bits by default; without a GPU nobody asks for more


@pytest.fixture
def with_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the guard believe in a GPU; its switches are there without one."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    yield
    BACKENDS.cudnn.allow_tf32 = True


def wanted() -> dict[str, object]:
    """What stands in an isolated block of a torch that nobody has touched."""
    with isolated(1):
        return settings()


def plain(found: dict[str, Any]) -> dict[str, Any]:
    """`settings`, with one word for products that are exact; "none" says it as "ieee" does."""
    words = {name: "ieee" if word == "none" else word for name, word in found["words"].items()}
    return found | {"words": {name: words[name] for name in ("cuda matmul", "cpu matmul", "cpu conv")}, "tf32": None}


@pytest.mark.parametrize("state", STATES)
def test_inside_no_setting_of_the_caller_counts_and_afterwards_all_are_back(state: str) -> None:
    expected = plain(wanted())
    with ambient(state):
        before = settings()
        with isolated(1):
            inside = settings()
            with isolated(1):
                nested = settings()
            again = settings()
            sums = torch.ones(3) + torch.ones(3)  # a float32 on the CPU, by no mode seen
        after = settings()
    assert plain(inside) == plain(nested) == plain(again) == expected
    assert after == before
    assert (sums.dtype, sums.device, sums.is_inference(), sums.requires_grad) == (torch.float32, CPU, False, False)


def test_what_a_run_wants() -> None:
    inside = wanted()
    assert inside["dtype"] == torch.float32
    assert inside["modes"] == inside["operations"] == []
    assert inside["device"] is None
    assert inside["autocast"] == [False, False, False]
    assert (inside["grad"], inside["inference"], inside["denormals"]) == (False, False, False)
    assert inside["deterministic"] == (False, False)
    assert inside["attention"] == (True, True, True, True)
    assert inside["precision"] == "highest"
    assert inside["oneDNN"] == (True, False)
    assert inside["cudnn"] == (True, False, False)
    with isolated(1):
        matmul = torch.backends.cuda.matmul
        assert matmul.allow_bf16_reduced_precision_reduction is True
        assert matmul.allow_fp16_reduced_precision_reduction is True
        assert matmul.allow_fp16_accumulation is False


@pytest.mark.parametrize("state", STATES)
def test_an_error_puts_everything_back(state: str) -> None:
    with ambient(state):
        before = settings()
        with pytest.raises(KeyboardInterrupt), isolated(1):
            raise KeyboardInterrupt
        assert settings() == before


def test_what_the_caller_sets_meanwhile_stays() -> None:
    try:
        with isolated():
            torch.set_default_dtype(torch.float64)
            with isolated():
                assert torch.get_default_dtype() == torch.float32
            assert torch.get_default_dtype() == torch.float64
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_the_last_of_two_threads_puts_the_process_back() -> None:
    inside, leave, seen = threading.Event(), threading.Event(), []

    def other() -> None:
        with isolated():
            inside.set()
            leave.wait(30)
            seen.append(torch.get_default_dtype())

    thread = threading.Thread(target=other)
    with ambient("float16", "deterministic"):
        before = settings()
        with isolated():
            thread.start()
            inside.wait(30)
        assert torch.get_default_dtype() == torch.float32  # the other one still runs
        leave.set()
        thread.join()
        assert settings() == before
    assert seen == [torch.float32]


def test_modes_of_one_thread_are_not_another_s() -> None:
    seen = []
    with ambient("with a device"), isolated():
        thread = threading.Thread(target=lambda: seen.append(settings()["modes"]))
        thread.start()
        thread.join()
    assert seen == [[]]


# Products of float32. Where there is no GPU its switches are there all the same.


@pytest.mark.usefixtures("with_cuda")
@pytest.mark.parametrize("state", [None, "medium", "high", "tf32 for all"])
@pytest.mark.parametrize("allowed", [True, False])
def test_on_cuda_products_and_convolutions_are_exact_and_old_and_new_switches_agree(
    state: str | None, allowed: bool
) -> None:
    BACKENDS.cudnn.allow_tf32 = allowed
    with ambient(*([] if state is None else [state])):
        before = settings()
        with isolated():
            inside: Any = settings()
            assert {inside["words"][name] for name in ("cuda matmul", "cuda conv", "cuda rnn")} <= {"ieee", "none"}
            assert inside["tf32"] == [False, False], "which raise where old and new disagree"
            assert inside["precision"] == "highest"
        assert settings() == before


@pytest.mark.usefixtures("with_cuda")
def test_switches_that_were_set_apart_are_put_back_apart() -> None:
    kinds = BACKENDS.cuda.matmul, BACKENDS.cudnn.conv, BACKENDS.cudnn.rnn
    with precise("high"):
        words = [kind.fp32_precision for kind in kinds]
        for kind, word in zip(kinds, ("ieee", "ieee", "tf32"), strict=True):
            kind.fp32_precision = word
        before = settings()
        with isolated():
            inside: Any = settings()["words"]
            assert {inside[name] for name in ("cuda matmul", "cuda conv", "cuda rnn", "cpu matmul")} <= {"ieee", "none"}
        assert settings() == before
        for kind, word in zip(kinds, words, strict=True):
            kind.fp32_precision = word


@pytest.mark.usefixtures("with_cuda")
def test_what_was_inherited_is_inherited_afterwards() -> None:
    with ambient("tf32 for all"):
        with isolated():
            pass
        assert BACKENDS.mkldnn.conv.fp32_precision == "tf32"
    assert BACKENDS.mkldnn.conv.fp32_precision == "none", "not a word of its own"


def test_without_cuda_its_convolutions_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    before = settings()
    with isolated():
        assert settings()["words"] == before["words"]


# Threads


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(
    ("size", "device", "threads"), [(SMALL, "cpu", 1), (LARGE, "cpu", 2), (SMALL, "cuda", None), (SMALL, "mps", None)]
)
def test_a_small_model_on_the_cpu_gets_one_thread(size: int, device: str, threads: int | None) -> None:
    assert threads_for(size, torch.device(device)) == threads


@pytest.mark.usefixtures("two_threads")
def test_the_number_of_threads_is_the_block_s_and_then_the_caller_s() -> None:
    with isolated(1):
        assert torch.get_num_threads() == 1
        with isolated(2):
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 1
        assert threads_for(LARGE, CPU) == 2  # what the caller has set is still known
    assert torch.get_num_threads() == 2
    with isolated(1):
        pass
    assert not _counts
    with isolated():
        assert torch.get_num_threads() == 2
    assert not _counts


@pytest.mark.usefixtures("two_threads")
def test_a_model_loaded_in_a_thread_that_was_born_meanwhile_gets_all_threads() -> None:
    """Such a thread begins with the number of the one that runs."""
    seen: list[int | None] = []
    with isolated(1):
        thread = threading.Thread(target=lambda: seen.append(threads_for(LARGE, CPU)))
        thread.start()
        thread.join()
    assert seen == [2]


@pytest.mark.usefixtures("two_threads")
def test_no_other_thread_s_number_changes_in_the_middle() -> None:
    seen, inside, leave = [], threading.Event(), threading.Event()

    def other() -> None:
        with isolated(1):
            inside.set()
            leave.wait(30)
            seen.append(torch.get_num_threads())

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(30)
    torch.set_num_threads(2)
    with isolated(1):
        pass
    leave.set()
    thread.join()
    assert seen == [1]


# Chance


def draws() -> list[float]:
    return [float(torch.rand(())), float(np.random.rand()), random.random(), float(np.random.randn())]


def test_others_draw_alike_each_time_and_the_caller_s_generators_stay() -> None:
    np.random.randn()  # of a pair, the second number waits
    before = chance()
    found = []
    for _ in range(2):
        with own_chance():
            found.append(draws())
            with own_chance():
                assert draws() == found[0]
            assert draws() != found[0]
        assert chance() == before
    assert found[0] == found[1]
    draws()
    assert chance() != before
    with own_chance():
        assert draws() == found[0], "whatever the caller's generators say"


def test_the_caller_s_generators_stay_after_an_error() -> None:
    before = chance()

    @own_chance()
    def fail() -> None:
        draws()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert chance() == before


def test_another_kind_of_generator_of_numpy_stays() -> None:
    state: Any = np.random
    mine, old = np.random.PCG64(3), state.get_bit_generator()
    state.set_bit_generator(mine)
    try:
        before = mine.state
        with own_chance():
            draws()
        assert state.get_bit_generator() is mine
        assert mine.state == before
    finally:
        state.set_bit_generator(old)


def test_two_threads_take_turns() -> None:
    """Else one would put back what the other had drawn."""
    before, found = chance(), []

    def listen() -> None:
        with own_chance():
            found.append([draws() for _ in range(50)])

    run_together(listen, listen)
    assert found[0] == found[1]
    assert chance() == before


def run_together(*runs: Callable[[], None]) -> None:
    threads = [threading.Thread(target=run) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
