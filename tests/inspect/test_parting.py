"""Where runs part by rounding alone: the draw, and what had to be moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import nn

from dia2 import ForceAction, UsageError
from dia2.adapter.parting import Parting, parting
from dia2.core.uniforms import uniform_table
from dia2.inspect import Dia2Trace, record
from dia2.inspect.schema.draw import book_of
from dia2.inspect.views.console import diff_facts, print_diff

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


def printed(a: Dia2Trace, b: Dia2Trace) -> str:
    console = Console(file=StringIO(), width=200)
    print_diff(a, b, console)
    return " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]  # a StringIO


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
    assert 0 <= found.margin <= (1 if found.of == "probability" else 8 * found.logits)  # guidance doubles differences
    told = f"call {found.call}, {found.draw}: {found.tokens[0]} or {found.tokens[1]}, {found.margin:.2g} from the other"
    assert str(found).startswith(told)
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


@pytest.mark.parametrize(
    ("of", "options"),
    [
        ("guided", {"cfg_scale": 3.0, "cfg_filter_k": 1}),
        ("guided", {"cfg_scale": 3.0, "cfg_filter_k": 1, "temperature": 0.0}),
        ("kept", {"cfg_scale": 1.0, "top_k": 1}),
        ("best", {"cfg_scale": 1.0, "temperature": 0.0}),
    ],
)
def test_a_token_that_was_ruled_out_tells_what_it_lacked(of: str, options: dict[str, Any], tmp_path: Path) -> None:
    """Where a filter leaves one token, what that one is ahead of the other decides, in whichever logits it works."""
    plain = spoken(tmp_path / "plain", **options)
    with moved(PARTS["cb0"](engine(CHECKPOINT).runtime.model), 0.1):
        other = spoken(tmp_path / "moved", **options)
    found = parting(plain, other)
    assert found is not None
    assert (found.of, found.draw) == (of, "cb0")
    first, second = found.tokens
    logits = torch.from_numpy(plain.logits(found.call)["cb0"])
    ahead = logits[0] if of != "guided" else logits[1] + 3.0 * (logits[0] - logits[1])
    assert found.margin == pytest.approx(float(ahead[first] - ahead[second]), abs=1e-6)
    assert 0 < found.margin < 100


def test_the_terminal_tells_it(tmp_path: Path) -> None:
    plain, again = spoken(tmp_path / "plain"), spoken(tmp_path / "again")
    with moved(PARTS["cb0"](engine(CHECKPOINT).runtime.model), 0.2):
        other, brief = spoken(tmp_path / "moved"), spoken(tmp_path / "brief", "topk")
    found = parting(plain, other)
    assert f"so this draw parts them: {found}." in printed(plain, other)
    assert found is not None
    assert diff_facts(plain, other)["parting"]["margin"] == found.margin
    for one in (again, brief, spoken(tmp_path / "seed", seed=2)):
        assert diff_facts(plain, one)["parting"] is None
        assert "parts them" not in printed(plain, one)


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
