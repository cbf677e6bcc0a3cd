"""What is counted before training is what training takes."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
import torch

from dia2.core.model import Dia2Model
from tests.training.test_language_model import language
from training.cost import Cost, Method, count, instead, largest, main, prepared
from training.language_model import Batch, LanguageTraining, Learning, initialise
from training.streams import Language

__all__ = ["language"]  # the fixture

GB = 1e9


def kept_bytes(language: Language, method: Method, streams: int, frames: int) -> int:
    """What autograd keeps of real losses of the same size, each storage once, without parameters."""
    model = Dia2Model(language.config)
    initialise(model, 0)
    training = prepared(LanguageTraining(model, Learning()), method)
    generator = torch.Generator().manual_seed(0)

    def ids(*shape: int, most: int = 2) -> torch.Tensor:
        return torch.randint(0, most, (streams, *shape, frames), generator=generator)

    batch = Batch(ids(6), ids(), ids(), ids(4), ids(2), ids().bool(), ids(), ids())
    found: dict[int, Any] = {}
    own = {p.untyped_storage().data_ptr() for p in training.parameters()}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            found[storage.data_ptr()] = storage
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=method.autocast),
    ):
        loss = training.losses(batch, generator)["loss"]
    assert loss.requires_grad
    return sum(storage.nbytes() for storage in found.values())


@pytest.mark.parametrize(
    "method", [Method(), Method(rank=4), Method(precision="bfloat16"), Method(rank=2, kinds=("v",))]
)
def test_activations_are_those_that_real_losses_keep(method: Method, language: Language) -> None:
    learning = Learning(depformer_share=1.0)  # no draw decides how many
    counted = count(language.config, method, learning, 3, 50).activations
    assert counted == pytest.approx(kept_bytes(language, method, 3, 50), rel=0.01)


def test_parts_are_bytes_of_parameters(language: Language) -> None:
    whole = count(language.config, Method(), Learning(), 1, 20)
    parameters = sum(p.numel() for p in Dia2Model(language.config).parameters())
    assert (whole.parameters, whole.trained) == (parameters, parameters)
    assert (whole.weights, whole.gradients, whole.averages) == (4 * parameters, 4 * parameters, 8 * parameters)
    assert whole.state == 12 * parameters
    small = count(language.config, Method(optimizer="adamw8bit"), Learning(), 1, 20)
    assert small.averages == 2 * parameters
    added = count(language.config, Method(rank=2, precision="bfloat16"), Learning(), 1, 20)
    assert added.gradients == 4 * added.trained < whole.gradients / 4
    assert added.weights < 2.5 * parameters + 4 * added.trained
    twice = count(language.config, Method(checkpointed=True), Learning(), 1, 20)
    assert twice.activations < whole.activations


@pytest.mark.slow
def test_what_would_fit_is_named(language: Language) -> None:
    learning = Learning(frames=400)
    whole = count(language.config, Method(), learning, *largest(400, 40))
    free = whole.memory - whole.activations // 2
    found = instead(language.config, Method(), learning, 40, free)
    frames = int(found[0].removeprefix("--batch-frames "))
    assert 160 <= frames <= 210
    assert count(language.config, Method(), learning, *largest(frames, 40)).memory <= free
    assert any(said.startswith("--lora 16") for said in found)
    assert instead(language.config, Method(), learning, 40, 1000) == []


def test_a_batch_is_as_large_as_it_may_be() -> None:
    assert largest(1500, 768) == (1, 1500)
    assert largest(1500, 100) == (15, 100)
    assert largest(50, 100) == (1, 100)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shape", "2b", "--lora", "-3"], "--lora -3 is no rank"),
        (["--shape", "2b", "--lora", "4", "--lora-on", "q,nose"], "--lora-on knows no 'nose'"),
        (["--shape", "2b", "--lora", "4", "--lora-alpha", "0"], "--lora-alpha 0.0 is no scale"),
        (["--shape", "2b", "--batch-frames", "9"], "--longest is from 1 to --batch-frames"),
        (["--shape", "nowhere.json"], "There is no config file nowhere.json"),
        (["--shape", "2b", "--precision", "half"], "invalid choice: 'half'"),
        ([], "the following arguments are required: --shape"),
    ],
)
def test_bad_usage_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) in (1, 2)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert message in said.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "method", "most"),
    [
        ("2b", Method(rank=128, precision="bfloat16"), 22),
        ("2b", Method(), 78),
        ("1b", Method(rank=128, precision="bfloat16", checkpointed=True), 8),
    ],
)
def test_published_shapes_fit(shape: str, method: Method, most: float) -> None:
    from training.cost import shape_of

    cost = count(shape_of(shape), method, Learning(frames=1500, dropout=0.05), *largest(1500, 768))
    assert isinstance(cost, Cost)
    assert cost.memory < most * GB


MEASURED = """
import sys, torch
from dia2.common.memory import forget_peak_host_bytes, peak_host_bytes, resident_bytes
from dia2.core.config import parse_config
from dia2.core.model import Dia2Model
from benchmarks.shapes import _config
from training.cost import Method, count, prepared
from training.language_model import Batch, LanguageTraining, Learning
from training.memory import checkpoint_blocks
torch.set_num_threads(1)
streams, frames = 2, 150
method = Method(rank=int(sys.argv[1]), precision=sys.argv[2], checkpointed=sys.argv[3] == "twice")
config = parse_config(_config(layers=6, width=512, hidden=1536, heads=4, dep_layers=2, dep_width=256, sets=3))
learning = Learning()
cost = count(config, method, learning, streams, frames)
def steps(training, optimizer, streams, frames):
    one = torch.ones(streams, 1, frames, dtype=torch.long)
    wide = lambda n: one.expand(-1, n, -1).contiguous()
    flat = one[:, 0].contiguous()
    at = torch.arange(frames).expand(streams, -1).contiguous()
    batch = Batch(wide(34), at, flat, wide(32), wide(2), flat.bool(), flat, flat)
    for _ in range(2):
        for part in range(2):  # gradients of the first are there while the second is computed
            with torch.autocast("cpu", torch.bfloat16, enabled=method.autocast):
                loss = training.losses(batch, torch.Generator().manual_seed(part), learning.depformer_share)["loss"]
            loss.backward()
            del loss
        optimizer.step()
        optimizer.zero_grad()
def new(config):
    training = prepared(LanguageTraining(Dia2Model(config, method.stored), learning), method)
    if method.checkpointed:
        checkpoint_blocks(training.model)
    optimizer = torch.optim.AdamW([p for p in training.parameters() if p.requires_grad], lr=1e-5, foreach=False)
    return training, optimizer
small = parse_config(_config(layers=1, width=64, hidden=64, heads=2, dep_layers=1, dep_width=64, sets=1))
steps(*new(small), 1, 4)  # libraries are there
assert forget_peak_host_bytes()
before = resident_bytes()
steps(*new(config), streams, frames)
print((peak_host_bytes() - before) / cost.memory, cost.said())
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [("0", "float32", "once"), ("0", "float32", "twice"), ("16", "float32", "once")])
def test_the_resident_set_of_a_run_is_what_was_counted(how: tuple[str, ...]) -> None:
    run = subprocess.run(
        [sys.executable, "-c", MEASURED, *how],
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
        env=os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"},  # what is freed leaves at once
    )
    assert run.returncode == 0, run.stderr
    assert float(run.stdout.split()[0]) == pytest.approx(1.0, abs=0.1), run.stdout
