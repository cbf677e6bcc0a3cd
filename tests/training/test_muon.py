"""Muon's steps are orthogonal, and everything that is no matrix of a block moves as with AdamW."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dia2.core.config import parse_config
from dia2.core.model import Dia2Model
from training.language_model import LanguageSize, config_dict, initialise
from training.muon import Muon, muon_for, orthogonal
from training.tokenizer import train_tokenizer

SIZE = LanguageSize(
    layers=1, width=32, hidden=64, heads=2, kv_heads=1, head_dim=16, depformer_layers=1, depformer_width=32,
    depformer_hidden=32, depformer_heads=2, vocabulary=300, text_rank=8,
)  # fmt: skip


def test_all_singular_values_become_about_one() -> None:
    for shape in ((24, 60), (60, 24)):
        matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * torch.logspace(0, -2, shape[1])
        values = torch.linalg.svdvals(orthogonal(matrix).float())
        assert float(values.min()) > 0.4
        assert float(values.max()) < 1.3


def test_a_matrix_goes_on_where_it_went_and_by_how_much_the_rate_says() -> None:
    matrix = nn.Parameter(torch.zeros(8, 8))
    optimizer = Muon([{"params": [matrix], "muon": True}], 0.01, (0.9, 0.98))
    gradients = torch.randn(2, 8, 8, generator=torch.Generator().manual_seed(0))
    matrix.grad = gradients[0]
    optimizer.step()
    assert float(matrix.detach().square().mean().sqrt()) == pytest.approx(0.01 * 0.2, rel=0.25)
    before = matrix.detach().clone()
    matrix.grad = gradients[1].clone()
    optimizer.step()
    alone = -orthogonal(gradients[1])
    moved = matrix.detach() - before
    cosine = torch.cosine_similarity(moved.flatten(), alone.flatten(), dim=0)
    assert 0.3 < float(cosine) < 0.999  # the first gradient is still in it


def test_others_move_as_with_adamw() -> None:
    torch.manual_seed(0)
    one, other = nn.Linear(5, 4), nn.Linear(5, 4)
    other.load_state_dict(one.state_dict())
    ours = Muon([{"params": list(one.parameters()), "weight_decay": 0.1}], 0.01, (0.9, 0.98))
    theirs = torch.optim.AdamW(other.parameters(), lr=0.01, betas=(0.9, 0.98), weight_decay=0.1)
    for step in range(5):
        x = torch.randn(8, 5, generator=torch.Generator().manual_seed(step))
        for model, optimizer in ((one, ours), (other, theirs)):
            optimizer.zero_grad()
            model(x).square().sum().backward()
            optimizer.step()
    assert torch.allclose(one.weight, other.weight, atol=1e-6)
    assert torch.allclose(one.bias, other.bias, atol=1e-6)


def test_it_takes_the_matrices_of_blocks_alone_and_can_be_saved() -> None:
    tokenizer = train_tokenizer(["Hello there."], SIZE.vocabulary)
    model = Dia2Model(parse_config(config_dict(SIZE, 4, 8, tokenizer)))
    initialise(model, 0)
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": 0.1},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = muon_for(model)(groups, 0.01, (0.9, 0.98))
    matrices = {id(p) for group in optimizer.param_groups if group["muon"] for p in group["params"]}
    named = {name for name, p in model.named_parameters() if id(p) in matrices}
    assert "transformer.layers.0.attn.qkv_proj.weight" in named
    assert "depformer.layers.0.mlp.wi.weight" in named or any("depformer.layers.0.mlp" in name for name in named)
    assert not any("embed" in name or "head" in name or "logits" in name or "norm" in name for name in named)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(parameters)
    assert {group["weight_decay"] for group in optimizer.param_groups if group["muon"]} == {0.1}
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    again = muon_for(model)(groups, 0.01, (0.9, 0.98))
    again.load_state_dict(optimizer.state_dict())
    assert set(next(iter(again.state_dict()["state"].values()))) == {"momentum"}
