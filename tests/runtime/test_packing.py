"""Kernels of int8 products: chosen once on a machine, remembered, told."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch

from dia2 import Dia2, UsageError
from dia2.core.model import Dia2Model
from dia2.core.products import Kernels, uses
from dia2.core.quantize import Kernel, packed_linears, quantize
from dia2.runtime import packing
from dia2.runtime.packing import FORCED, machine, suit

from ..support.models import random_model, tiny_config

Raced = list[Kernels]


@pytest.fixture
def raced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Raced:
    """What each race came to; `BLOCKS` wins them all."""
    held: Raced = []

    def choose(model: Dia2Model) -> Kernels:
        held.append(dict.fromkeys(uses(model), Kernel.BLOCKS))
        return held[-1]

    monkeypatch.setattr(packing, "choose", choose)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(FORCED)
    return held


def model() -> Dia2Model:
    made = random_model(tiny_config()).requires_grad_(False)
    quantize(made)
    return made


def store(folder: Path) -> Path:
    return folder / "dia2" / "products.json"


def test_a_machine_chooses_once(raced: Raced, tmp_path: Path) -> None:
    assert [suit(model()), suit(model())] == ["blocks", "blocks"]
    assert len(raced) == 1
    kept = json.loads(store(tmp_path).read_text())
    assert [set(choice.values()) for choice in kept.values()] == [{"blocks"}]
    assert {tuple(map(int, name.split("x"))) for choice in kept.values() for name in choice} == set(raced[0])
    where = machine(torch.device("cpu"))
    assert torch.__version__ in where
    assert f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads" in where
    assert all(key.startswith(f"{where}|float32|") for key in kept)


def test_another_processor_torch_or_number_of_threads_chooses_anew(
    raced: Raced, monkeypatch: pytest.MonkeyPatch
) -> None:
    suit(model())
    for owner, name, value in (
        (torch, "__version__", "9.9"),
        (torch, "get_num_threads", lambda: 77),
        (torch.backends.cpu, "get_cpu_capability", lambda: "AVX9"),
        (packing, "_processor", lambda: "another"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, value)
            suit(model())
    assert len(raced) == 5


@pytest.mark.parametrize(
    "damaged", [5, [], {}, {"8x8": "blocks"}, {"8": "blocks"}, {"axb": "blocks"}, {"8x8": "fast"}, {"8x8": 1}]
)
def test_a_choice_that_is_none_is_made_anew(raced: Raced, tmp_path: Path, damaged: object) -> None:
    suit(model())
    (key,) = json.loads(store(tmp_path).read_text())
    store(tmp_path).write_text(json.dumps({"other": 1, key: damaged}))
    assert suit(model()) == "blocks"
    assert len(raced) == 2
    assert json.loads(store(tmp_path).read_text())["other"] == 1
    suit(model())
    assert len(raced) == 2


def test_two_models_keep_their_choices(raced: Raced) -> None:
    other = random_model(tiny_config({"model.decoder.n_layer": 3})).requires_grad_(False)
    quantize(other)
    for made in (model(), other, model()):
        suit(made)
    assert len(raced) == 2


def test_another_precision_chooses_for_itself(raced: Raced) -> None:
    suit(model())
    other = model()
    other.dtype = torch.bfloat16
    suit(other)
    assert len(raced) == 2


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff", b'{"a": 1}', b"3"])
def test_a_damaged_store_is_written_anew(raced: Raced, tmp_path: Path, content: bytes) -> None:
    store(tmp_path).parent.mkdir()
    store(tmp_path).write_bytes(content)
    suit(model())
    suit(model())
    assert len(raced) == 1
    assert [set(kept.values()) for kept in json.loads(store(tmp_path).read_text()).values() if kept != 1] == [
        {"blocks"}
    ]


def test_the_store_stays_small(raced: Raced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "_REMEMBERED", 3)
    for name in "abcde":
        monkeypatch.setattr(packing, "_processor", lambda name=name: name)
        suit(model())
    assert [key[0] for key in json.loads(store(tmp_path).read_text())] == ["c", "d", "e"]
    assert len(raced) == 5


def test_where_nothing_can_be_kept_each_load_chooses(raced: Raced, tmp_path: Path) -> None:
    (tmp_path / "dia2").write_text("no folder")
    assert [suit(model()), suit(model())] == ["blocks", "blocks"]
    assert len(raced) == 2


def test_the_environment_decides(raced: Raced, monkeypatch: pytest.MonkeyPatch) -> None:
    for word, said in (("blocks", "blocks"), ("unpacked", "unpacked")):
        monkeypatch.setenv(FORCED, word)
        made = model()
        assert suit(made) == said
        assert {linear.kernel for linear in packed_linears(made)} == {word}
    monkeypatch.setenv(FORCED, "fast")
    wanted = "variable DIA2_INT8_PRODUCTS is 'fast': make it one of packed, blocks, unpacked, or unset it"
    with pytest.raises(UsageError, match=wanted):
        suit(model())
    assert not raced


def test_what_is_not_packed_in_memory_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(FORCED, "unpacked")
    with caplog.at_level(logging.INFO, "dia2"):
        loose = Dia2.nano(quantize="int8")
        runtime = loose.runtime
    assert runtime.precision == "float32, int8 weights, not quantised in memory"
    assert runtime.weight_bytes > Dia2.nano().runtime.weight_bytes  # by the scales
    line = next(text for text in caplog.messages if text.startswith("int8 products on "))
    assert line.endswith(": unpacked; not quantised in memory: unpacked weights are faster here")
    monkeypatch.setenv(FORCED, "blocks")
    caplog.clear()
    with caplog.at_level(logging.INFO, "dia2"):
        tight = Dia2.nano(quantize="int8")
        assert tight.runtime.weight_bytes < 0.5 * runtime.weight_bytes
    assert any(text.endswith(": blocks") for text in caplog.messages)
    runs = [engine.generate("[S1] Hi.", seed=1) for engine in (loose, tight)]
    assert [run.products for run in runs] == ["unpacked", "blocks"]
    assert Dia2.nano().runtime.products is None
