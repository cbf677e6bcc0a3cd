"""What may have a low-rank addition: which matrices, by which names, and what is added."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dia2.core.config import DiaConfig, load_config
from dia2.core.lora import KINDS, add, targets
from dia2.core.model import Dia2Model
from dia2.core.state_dict import without_memory
from tests.support.reference import local_files


def config(checkpoint: str) -> DiaConfig:
    return load_config(local_files(checkpoint)["config_path"])


def filled(checkpoint: str) -> Dia2Model:
    torch.manual_seed(0)
    model = Dia2Model(config(checkpoint))
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    return model.requires_grad_(False)


@pytest.mark.parametrize("checkpoint", ["tiny8", "tiny3"])
def test_targets_are_the_blocks_matrices_by_their_published_names_each_number_once(checkpoint: str) -> None:
    model = filled(checkpoint)
    state, found = model.state_dict(), targets(model)
    stems = {name: name.rsplit(".", 1)[0] if name[-2:] in (".q", ".k", ".v") else name for name in found}
    inside = {
        name
        for name in state
        if state[name].dim() == 2 and ("layers." in name or "depformer_in" in name) and "embed" not in name
    }
    assert {f"{stem}.weight" for stem in stems.values()} == inside
    for target in found.values():
        target.weight.add_(1.0)
    for name in inside:  # each number was reached, and by one target only
        assert torch.equal(state[name], filled(checkpoint).state_dict()[name] + 1.0), name


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_asked_for_alone(kind: str) -> None:
    model = without_memory(lambda: Dia2Model(config("tiny8")))
    found = targets(model, [kind])
    assert found
    assert {target.kind for target in found.values()} == {kind}
    assert {name for name in targets(model) if name in found} == {*found}
    first = next(iter(found))
    expected = {"q": "q_proj", "k": "k_proj", "v": "v_proj", "o": "o_proj", "mlp": "wi", "in": "depformer_in.0"}
    assert first.endswith(expected[kind])


def test_what_is_added_is_scale_b_a() -> None:
    model = filled("tiny8")
    target = targets(model)["transformer.layers.0.attn.k_proj"]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    out, into = target.weight.shape
    a, b = torch.randn(2, into), torch.randn(out, 2)
    assert add(target, a, b, 0.5)
    after = model.state_dict()
    name = "transformer.layers.0.attn.k_proj.weight"
    assert torch.allclose(after.pop(name), before.pop(name) + 0.5 * (b @ a), atol=1e-5)
    assert all(torch.equal(after[other], before[other]) for other in before)


def test_what_becomes_infinite_is_told() -> None:
    target = targets(filled("tiny8"))["transformer.layers.0.mlp.wo"]
    out, into = target.weight.shape
    assert not add(target, torch.full((1, into), 1e30), torch.full((out, 1), 1e30), 1.0)
