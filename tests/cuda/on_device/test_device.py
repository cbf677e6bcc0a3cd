"""The pretended device itself: what works on CUDA works on it, and what CUDA refuses it refuses."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ...support import fakecuda
from ...support.fakecuda.graphs import CUDAGraph
from ...support.fakecuda.graphs import graph as graph_of
from ...support.fakecuda.streams import Event, Stream

NOT_PERMITTED = "operation not permitted when stream is capturing"


BEFORE = Event()


@pytest.fixture(autouse=True)
def same_stream() -> Iterator[None]:
    """A capture that fails leaves its stream current, here as in torch."""
    with torch.cuda.stream(torch.cuda.current_stream()):
        BEFORE.record()
        yield


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize(
    "compute",
    [
        lambda x: (x @ x.T).softmax(-1),
        lambda x: F.rms_norm(x, x.shape[-1:]),
        lambda x: F.scaled_dot_product_attention(x[None, None], x[None, None], x[None, None], is_causal=True),
        lambda x: F.conv1d(x[None], x[:2, None, :].expand(2, 4, 6)[..., :3]),
        lambda x: F.linear(x, x, x[:, 0]),
        lambda x: torch.cat([x, x.flip(0)]).sort(descending=True)[0].cumsum(-1),
        lambda x: x.index_copy(1, torch.tensor([3, 0], device=x.device), -x[:, :2])[:, [1, 3]],
        lambda x: x.bfloat16().float().tril().clamp(min=0).mean(0),
        lambda x: torch.where(x > 0, x, 0.5).amax(-1, keepdim=True) - x.topk(2).values,
    ],
)
def test_it_computes_as_the_cpu_does(compute: Callable[[Tensor], Tensor]) -> None:
    x = numbers(4, 6)
    there = compute(x.to("cuda"))
    assert there.device == torch.device("cuda:0")
    assert torch.equal(there.cpu(), compute(x))


def test_views_share_memory_and_what_is_written_is_seen() -> None:
    x = torch.zeros(3, 4, device="cuda")
    x.T[1:3].add_(2)
    x[0] = 7.0
    out = torch.empty(0, device="cuda")
    torch.mul(x, 2, out=out)  # resized
    assert x.tolist() == [[7.0] * 4, [0.0, 2.0, 2.0, 0.0], [0.0, 2.0, 2.0, 0.0]]
    assert torch.equal(out.cpu(), 2 * x.cpu())


def test_new_memory_holds_nonsense() -> None:
    assert torch.empty(3, device="cuda").isnan().all()
    assert torch.empty(3, dtype=torch.int64, device="cuda").tolist() == [-1, -1, -1]


@pytest.mark.parametrize(
    "mix",
    [
        lambda x: x + torch.ones(3),
        lambda x: x @ torch.ones(3),
        lambda x: x.index_select(0, torch.tensor(1)),
        lambda x: x + torch.ones(3, device="cuda:1"),
        lambda x: torch.cat([x, torch.ones(3)]),
    ],
)
def test_tensors_of_two_devices_are_refused(mix: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
        mix(torch.ones(3, device="cuda"))


def test_a_number_of_the_host_is_no_other_device() -> None:
    x = torch.ones(3, device="cuda") * torch.tensor(2.0) + 1
    assert x.tolist() == [3.0, 3.0, 3.0]
    assert x.to("cuda:1").device == torch.device("cuda:1")
    with pytest.raises(RuntimeError, match="invalid device ordinal"):
        torch.empty(1, device="cuda:2")


def test_torch_s_names_are_these() -> None:
    cuda: Any = torch.cuda
    assert (cuda.Event, cuda.Stream, cuda.CUDAGraph, cuda.graph) == (Event, Stream, CUDAGraph, graph_of)


def test_a_graph_computes_when_it_is_replayed_and_not_before() -> None:
    x, graph = torch.ones(3, device="cuda"), CUDAGraph()
    with graph_of(graph):
        x.add_(1)
        y = x[:2] * 2
    assert x.tolist() == [1.0, 1.0, 1.0]
    assert y.isnan().all()
    for turn in (1, 2):
        graph.replay()
        assert x.tolist() == [1.0 + turn] * 3
        assert y.tolist() == [2.0 * (1 + turn)] * 2
    x.fill_(9)
    graph.replay()
    assert y.tolist() == [20.0, 20.0]
    assert graph.kernels == {"add": 1, "mul": 1}


def test_a_graph_holds_numbers_as_they_were() -> None:
    x, number, graph = torch.zeros(1, device="cuda"), torch.tensor(3.0), CUDAGraph()
    with graph_of(graph):
        x.add_(number)
    number.fill_(5)
    graph.replay()
    assert x.item() == 3.0


def test_a_graph_keeps_no_tensor_of_outside() -> None:
    x, graph = torch.zeros(1, device="cuda"), CUDAGraph()
    y = torch.zeros(1, device="cuda")
    with graph_of(graph):
        y.add_(x)
    graph.replay()
    del x
    with pytest.raises(RuntimeError, match="illegal memory access"):
        graph.replay()


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x.sum().item(),
        lambda x: x.cpu(),
        lambda x: x.nonzero(),
        lambda x: x[x > 0],
        lambda x: torch.tensor([1.0, 2.0, 3.0], device="cuda"),
        lambda x: x[torch.tensor([0, 1])],
        lambda x: torch.cuda.synchronize(),
        lambda x: torch.cuda.current_stream().synchronize(),
        lambda x: BEFORE.synchronize(),
    ],
)
def test_a_wait_while_capturing_is_refused_and_spoils_the_graph(wait: Callable[[Tensor], object]) -> None:
    x, graph = torch.ones(3, device="cuda"), CUDAGraph()
    with (
        pytest.raises(RuntimeError, match="previous error during capture"),
        graph_of(graph),
        pytest.raises(RuntimeError, match=NOT_PERMITTED),
    ):
        wait(x)
    with pytest.raises(RuntimeError, match="without a preceding successful capture"):
        graph.replay()
    assert not torch.cuda.is_current_stream_capturing()


def test_only_the_capturing_stream_is_captured() -> None:
    x, graph = torch.ones(3, device="cuda"), CUDAGraph()
    seen: list[float] = []

    def other() -> None:
        seen.append((x + 1).sum().item())
        try:
            torch.cuda.synchronize()
        except RuntimeError as error:
            seen.append(NOT_PERMITTED in str(error))

    def capture() -> None:
        with graph_of(graph, capture_error_mode="thread_local"):
            x.mul_(2)
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()

    with pytest.raises(RuntimeError, match="previous error"):
        capture()
    assert seen == [6.0, True]


def test_a_copy_to_the_host_arrives_when_it_is_waited_for() -> None:
    x = torch.arange(4.0, device="cuda")
    host = torch.zeros(4, pin_memory=True)
    host.copy_(x, non_blocking=True)
    assert host.isnan().all()
    side = Stream()
    early, done = Event(), Event()
    early.record(side)
    side.wait_stream(torch.cuda.current_stream())
    done.record(side)
    early.synchronize()
    assert host.isnan().all()
    done.synchronize()  # the side stream waits for the one that copies
    assert host.tolist() == [0.0, 1.0, 2.0, 3.0]


def test_a_copy_without_pinned_memory_is_waited_for() -> None:
    host = torch.zeros(4).copy_(torch.arange(4.0, device="cuda"), non_blocking=True)
    assert host.tolist() == [0.0, 1.0, 2.0, 3.0]


def test_memory_that_is_changed_while_it_travels_is_told_of() -> None:
    host = torch.ones(4).pin_memory()
    there = host.to("cuda", non_blocking=True)
    host.zero_()
    torch.cuda.synchronize()
    assert there.tolist() == [1.0] * 4
    assert fakecuda.take_problems() == ["pinned memory was changed before its copy to the device was over"]


def test_streams_and_devices_belong_to_a_thread() -> None:
    side, found = Stream(), list[bool]()
    with torch.cuda.stream(side), torch.cuda.device(1):
        assert torch.cuda.current_device() == 1
        assert torch.cuda.current_stream(0) == side

        def other() -> None:
            found.append(torch.cuda.current_stream() == torch.cuda.default_stream(0))

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert found == [True]
    assert torch.cuda.current_device() == 0
    assert torch.cuda.current_stream() == torch.cuda.default_stream()


def test_kernels_are_counted_views_are_not() -> None:
    x = torch.ones(2, 4, device="cuda")
    with fakecuda.counted() as kernels:
        y = x.T.reshape(8)[2:].view(2, 3).contiguous()
        F.linear(y, y).relu_()
        torch.empty(0, device="cuda").add_(1)
    assert kernels == {"copy_": 1, "linear": 1, "relu_": 1}


def test_memory_is_counted_and_limited() -> None:
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    x = torch.empty(1 << 20, device="cuda")
    assert torch.cuda.memory_allocated() == before + x.nbytes
    del x
    assert torch.cuda.memory_allocated() == before
    assert torch.cuda.max_memory_allocated() == before + (4 << 20)
    fakecuda.limit_memory(before + 100)
    try:
        with pytest.raises(torch.OutOfMemoryError, match="CUDA out of memory"):
            torch.empty(1 << 20, device="cuda")
    finally:
        fakecuda.limit_memory(None)
