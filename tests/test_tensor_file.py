"""Stored tensors come into whatever tensor is there, a window of the file at a time, and no bad file gets far."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from dia2.common import tensor_file as stored
from dia2.common.errors import CheckpointError
from dia2.common.tensor_file import StoredTensors

from .support.safetensors_file import joined


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


@pytest.fixture(params=[1 << 24, 64], ids=["one window", "windows of 64 bytes"])
def window(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(stored, "WINDOW", request.param)
    return int(request.param)


def by_hand(path: Path, header: object, body: bytes = b"") -> None:
    path.write_bytes(joined(header, body))


# What is copied


@pytest.mark.usefixtures("window")
@pytest.mark.parametrize("shape", [(), (0,), (1,), (40,), (7, 5), (3, 50), (2, 3, 30), (0, 4), (4, 0)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("kind", stored.FLOATS.values(), ids=stored.FLOATS.keys())
def test_every_shape_and_type_arrives(
    path: Path, shape: tuple[int, ...], dtype: torch.dtype, kind: torch.dtype
) -> None:
    tensors = {"before": torch.randn(3), "x": torch.randn(shape).to(kind), "y": torch.randn(2, 2)}
    save_file(tensors, path)
    target = torch.full(shape, torch.nan, dtype=dtype)
    with StoredTensors(path) as file:
        file.copy("x", target)
    assert torch.equal(target, tensors["x"].to(dtype))


@pytest.mark.usefixtures("window")
def test_a_target_may_be_a_view(path: Path) -> None:
    tensors = {name: torch.randn(rows, 10) for name, rows in (("q", 6), ("k", 2), ("columns", 6))}
    save_file(tensors, path)
    whole = torch.zeros(10, 12)
    with StoredTensors(path) as file:
        file.copy("q", whole[1:7, :10])
        file.copy("k", whole[7:9, :10])
        file.copy("columns", whole.T[:6, :])
    expected = torch.zeros(10, 12)
    expected[1:7, :10], expected[7:9, :10] = tensors["q"], tensors["k"]
    expected[:, :6] = tensors["columns"].T
    assert torch.equal(whole, expected)


def test_data_at_an_odd_byte_is_read(path: Path) -> None:
    values = torch.randn(5)
    header = b'{"x":{"dtype":"F32","shape":[5],"data_offsets":[0,20]}}'
    by_hand(path, header + b" " * (len(header) % 2), values.numpy().tobytes())
    assert (8 + len(header)) % 4
    target = torch.empty(5)
    with StoredTensors(path) as file:
        file.copy("x", target)
    assert torch.equal(target, values)


def test_names_come_in_the_files_order(path: Path) -> None:
    entries = {
        name: {"dtype": "F32", "shape": [1], "data_offsets": [at, at + 4]}
        for name, at in (("a", 8), ("b", 0), ("c", 4))
    }
    by_hand(path, entries, b"\0" * 12)
    with StoredTensors(path) as file:
        assert file.in_file_order(["a", "c", "b"]) == ["b", "c", "a"]


@pytest.mark.parametrize(("name", "shape"), [("y", (3,)), ("x\n", (3,)), ("x", (4,)), ("x", ()), ("n", (3,))])
def test_what_the_file_does_not_hold_is_refused(path: Path, name: str, shape: tuple[int, ...]) -> None:
    save_file({"x": torch.zeros(3), "n": torch.zeros(3, dtype=torch.int64)}, path)
    with (
        StoredTensors(path) as file,
        pytest.raises(CheckpointError, match=r"has no tensor '.*' of shape \[") as caught,
    ):
        file.copy(name, torch.zeros(shape))
    assert len(str(caught.value).splitlines()) == 1


# A file that changes


def test_a_file_that_became_shorter_is_refused(path: Path) -> None:
    save_file({"x": torch.zeros(100_000)}, path)
    with StoredTensors(path) as file:
        with path.open("r+b") as writer:
            writer.truncate(5000)
        with pytest.raises(CheckpointError, match=r"^Tensor x of .* cannot be read \(.*\): download the file again\.$"):
            file.copy("x", torch.zeros(100_000))


def test_a_file_put_in_its_place_is_not_looked_at(path: Path) -> None:
    save_file({"x": torch.ones(100)}, path)
    with StoredTensors(path) as file:
        save_file({"x": torch.zeros(3)}, path.with_name("other"))
        path.with_name("other").replace(path)
        target = torch.zeros(100)
        file.copy("x", target)
    assert bool((target == 1).all())


def entry(**changes: object) -> dict[str, Any]:
    return {"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes}


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        [1],
        {"x": 1},
        {"x": {}},
        entry(dtype=None, shape=1),
        entry(data_offsets=[0]),
        entry(data_offsets=[0, 8, 9]),
        entry(data_offsets="08"),
        entry(data_offsets=[-4, 8]),
        entry(data_offsets=[8, 0]),
        entry(data_offsets=[0, 1 << 62]),
        entry(data_offsets=[0.0, 8]),
    ],
    ids=lambda header: str(header)[:60],
)
def test_no_header_is_trusted_that_was_changed_after_safetensors_judged_it(
    path: Path, header: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_hand(path, header, b"\0" * 8)
    monkeypatch.setattr(stored, "safe_open", lambda path, framework: nullcontext())
    with pytest.raises(CheckpointError, match=r"changed while it was opened: try again\.$"):
        StoredTensors(path)


def test_no_more_is_read_than_the_file_has(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand(path, entry(shape=[1 << 20]), b"\0" * 8)
    monkeypatch.setattr(stored, "safe_open", lambda path, framework: nullcontext())
    with StoredTensors(path) as file, pytest.raises(CheckpointError, match="cannot be read"):
        file.copy("x", torch.zeros(1 << 20))


# To a device


class Event:
    """A CUDA event that says in a log when it is waited for and when it is recorded."""

    log: list[tuple[str, int]]
    made = 0

    def __init__(self) -> None:
        self.number = Event.made
        Event.made += 1

    def synchronize(self) -> None:
        self.log.append(("wait", self.number))

    def record(self, stream: object) -> None:
        assert stream == "the device's stream"
        self.log.append(("sent", self.number))


def test_two_pinned_buffers_take_turns_and_none_is_filled_before_it_has_arrived(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Event, "log", [], raising=False)
    monkeypatch.setattr(Event, "made", 0)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: "the device's stream")
    monkeypatch.setattr(Tensor, "pin_memory", lambda self: self)
    monkeypatch.setattr(Tensor, "is_cuda", True)
    monkeypatch.setattr(stored, "WINDOW", 64)
    values = torch.randn(20, 4)
    save_file({"x": values}, path)
    target = torch.empty(20, 4, dtype=torch.bfloat16)
    with StoredTensors(path) as file:
        file.copy("x", target)
    assert torch.equal(target, values.bfloat16())
    sends = [step for n in (1, 0, 1, 0, 1) for step in (("wait", n), ("sent", n))]
    assert Event.log == [*sends, ("wait", 0), ("wait", 1)]
