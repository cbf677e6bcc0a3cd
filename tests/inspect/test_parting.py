"""Where runs part by rounding alone: the draw, and what had to be moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dia2 import ForceAction, UsageError
from dia2.adapter.parting import Parting, parting
from dia2.core.uniforms import uniform_table
from dia2.inspect import Dia2Trace, record
from dia2.inspect.schema.draw import book_of

from ..support.reference import engine

SCRIPT = "[S1] one two three [S2] four"
CHECKPOINT = "tiny4"
PARTS: dict[str, Callable[[Any], nn.Parameter]] = {
    "action": lambda model: model.transformer.action_head.weight,
    "cb0": lambda model: model.transformer.cb0_head.weight,
    "dep": lambda model: model.depformer.logits[1].weight,
}


@contextmanager
def moved(weight: nn.Parameter, by: float) -> Iterator[None]:
    """A block in which a head is not quite itself, as if it were rounded otherwise."""
    before = weight.detach().clone()
    noise = torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        weight.copy_(before + by * before.std() * noise)
    try:
        yield
    finally:
        with torch.no_grad():
            weight.copy_(before)


def spoken(path: Path, level: Any = "full", **options: Any) -> Dia2Trace:
    engine(CHECKPOINT).generate(SCRIPT, trace=record(path, level=level, doctor=False), **({"seed": 1} | options))
    return Dia2Trace.load(path)


@pytest.mark.parametrize("temperature", [1.0, 0.0])
@pytest.mark.parametrize("part", PARTS)
def test_the_draw_is_named_with_what_had_to_be_moved(part: str, temperature: float, tmp_path: Path) -> None:
    plain = spoken(tmp_path / "plain", temperature=temperature)
    with moved(PARTS[part](engine(CHECKPOINT).runtime.model), 0.2):
        other = spoken(tmp_path / "moved", temperature=temperature)
    found = parting(plain, other)
    assert isinstance(found, Parting)
    assert found.draw.startswith(part)
    assert found.call == plain.diff(other).shared
    drawn = plain.actions[found.call] if part == "action" else plain.codes[found.call, book_of(found.draw)]
    assert found.tokens[0] == drawn != found.tokens[1]
    assert 0 <= found.margin <= (2 * found.logits if temperature == 0 else 1)
    assert str(found).startswith(
        f"call {found.call}, {found.draw}: {found.tokens[0]} or {found.tokens[1]}, a margin of"
    )
    back = parting(other, plain)
    assert back is not None
    assert (back.tokens, back.logits) == (found.tokens[::-1], found.logits)


def test_the_margin_is_what_the_uniform_lacks_to_the_other_token(tmp_path: Path) -> None:
    """With all but two tokens ruled out: the lower one has all uniforms below its probability."""
    options: dict[str, Any] = {"top_k": 2, "temperature": 1.0, "cfg_scale": 1.0}
    plain = spoken(tmp_path / "plain", **options)
    with moved(PARTS["cb0"](engine(CHECKPOINT).runtime.model), 0.02):
        other = spoken(tmp_path / "moved", **options)
    found = parting(plain, other)
    assert found is not None
    two = torch.from_numpy(plain.logits(found.call)["cb0"][0])[sorted(found.tokens)].softmax(0)
    uniform = uniform_table(1, found.call + 1, plain.model.codebooks + 2)[found.call, 2]
    assert found.margin == pytest.approx(abs(float(two[0]) - float(uniform)), abs=1e-6)
    assert (uniform < two[0]) == (found.tokens[0] < found.tokens[1])


def test_what_cannot_be_told(tmp_path: Path) -> None:
    plain, again = spoken(tmp_path / "plain"), spoken(tmp_path / "again")
    assert parting(plain, again) is None
    with pytest.raises(UsageError, match="differ in seed: compare like runs"):
        parting(plain, spoken(tmp_path / "seed", seed=2))
    with pytest.raises(UsageError, match="differ in edit"):
        parting(plain, spoken(tmp_path / "edit", edits=[ForceAction(4, "new_word")]))
    with moved(PARTS["cb0"](engine(CHECKPOINT).runtime.model), 0.2):
        other = spoken(tmp_path / "moved", "topk")
    with pytest.raises(UsageError, match="record with level full"):
        parting(plain, other)
