"""LoRA while it is trained: only it learns, it begins at nothing, and its file gives the network that was trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dia2.common.errors import UsageError
from dia2.core.lora import KINDS, targets
from dia2.core.model import Dia2Model
from dia2.runtime.lora_file import merge_lora
from tests.training.test_language_model import language, utterance
from training.cost import Method, prepared
from training.language_model import Batch, LanguageTraining, Learning, initialise
from training.lora import Lora
from training.memory import checkpoint_blocks
from training.streams import Language, plain_stream

__all__ = ["language"]  # the fixture


def trained(language: Language, method: Method, dtype: torch.dtype = torch.float32) -> LanguageTraining:
    model = Dia2Model(language.config, dtype)
    initialise(model, 0)
    return prepared(LanguageTraining(model, Learning()), method).eval()


def batch(language: Language) -> Batch:
    return Batch.of([plain_stream(language, utterance(language, seed)) for seed in range(2)], language.config)


def loss(training: LanguageTraining, language: Language) -> torch.Tensor:
    return training.losses(batch(language), torch.Generator())["loss"]


def moved(training: LanguageTraining) -> Lora:
    """Its additions, as if something had been learnt."""
    lora = training.get_submodule("lora")
    assert isinstance(lora, Lora)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in lora.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    return lora


def test_nothing_is_changed_before_the_first_step_and_only_additions_learn(language: Language) -> None:
    plain, added = trained(language, Method()), trained(language, Method(rank=2))
    assert torch.equal(loss(plain, language), loss(added, language))
    loss(added, language).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    names = {name for name, p in added.named_parameters() if p.requires_grad}
    assert names
    assert all(name.startswith("lora.pairs.") for name in names)
    assert all(p.grad is None for name, p in added.named_parameters() if name not in names)
    pairs = [p for p in added.get_submodule("lora").modules() if hasattr(p, "lora_B")]
    assert len(pairs) == len(targets(added.model))
    names_of = zip(targets(added.model), pairs, strict=True)
    still = {name for name, pair in names_of if not pair.get_parameter("lora_B").grad.abs().sum() > 0}  # type: ignore[union-attr]  # it is there
    assert still == {"depformer.layers.0.self_attention.in_proj.0.q"}  # of the first stage, which sees itself alone
    assert {*added.model.state_dict()} == {*plain.model.state_dict()}


@pytest.mark.parametrize("kinds", [KINDS, ("q",), ("v", "in")])
def test_the_file_put_into_the_weights_gives_the_same_losses(
    kinds: tuple[str, ...], language: Language, tmp_path: Path
) -> None:
    training = trained(language, Method(rank=3, alpha=5.0, kinds=kinds))
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"weights")
    from dia2.common.hashing import hash_path

    moved(training).write(tmp_path / "lora.safetensors", hash_path(weights) or "")
    merged = trained(language, Method())
    before = loss(merged, language)
    with torch.no_grad():
        facts = merge_lora(merged.model, tmp_path / "lora.safetensors", weights)
    assert (facts.rank, facts.alpha, facts.kinds) == (3, 5.0, kinds)
    assert float(loss(merged, language).detach()) == pytest.approx(float(loss(training, language).detach()), abs=1e-4)
    assert abs(float((loss(merged, language) - before).detach())) > 1e-2


def test_the_seed_decides_its_beginning_and_torchs_own_generator_is_left_alone(language: Language) -> None:
    model = Dia2Model(language.config)
    before = torch.get_rng_state()
    one, same, other = (Lora(model, 2, 4.0, ["q"], seed).tensors() for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    name = next(iter(one))
    assert torch.equal(one[name], same[name])
    assert not torch.equal(one[name], other[name])


def test_weights_that_stay_may_be_bfloat16(language: Language) -> None:
    exact, rounded = (trained(language, Method(rank=2), dtype) for dtype in (torch.float32, torch.bfloat16))
    moved(exact)
    moved(rounded)
    assert float(loss(rounded, language).detach()) == pytest.approx(float(loss(exact, language).detach()), rel=0.02)
    loss(rounded, language).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    assert {p.dtype for p in rounded.get_submodule("lora").parameters()} == {torch.float32}
    assert all(p.grad is not None for p in rounded.get_submodule("lora").parameters())


@pytest.mark.slow
@pytest.mark.parametrize("method", [Method(), Method(rank=2)])
def test_blocks_that_are_computed_twice_give_the_same_gradients(method: Method, language: Language) -> None:
    def gradients(checkpointed: bool) -> list[torch.Tensor]:
        training = trained(language, method)
        if method.rank:
            moved(training)
        if checkpointed:
            checkpoint_blocks(training.model)
        loss(training, language).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return [p.grad for p in training.parameters() if p.grad is not None]

    plain, twice = gradients(False), gradients(True)
    assert len(plain) == len(twice) > 0
    for one, other in zip(plain, twice, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize(
    ("rank", "alpha", "kinds", "message"),
    [
        (0, 1.0, ("q",), "--lora 0 is no rank"),
        (5000, 1.0, ("q",), "--lora 5000 is no rank"),
        (2, float("nan"), ("q",), "--lora-alpha nan is no scale"),
        (2, -1.0, ("q",), "--lora-alpha -1.0 is no scale"),
        (2, 1.0, ("q", "x"), "--lora-on knows no 'x'"),
        (2, 1.0, (), "--lora-on names the matrices"),
        (2, 1.0, ("q", "q"), "each once"),
    ],
)
def test_what_is_no_lora_is_refused(
    rank: int, alpha: float, kinds: tuple[str, ...], message: str, language: Language
) -> None:
    with pytest.raises(UsageError, match=message):
        Lora(Dia2Model(language.config), rank, alpha, kinds)
