"""The parts of a logit add up to it."""

from __future__ import annotations

from typing import Any

import pytest

from dia2.analysis import direct_logit_attribution
from dia2.common.errors import UsageError

from ..support.reference import engine
from .runs import CHECKPOINT, runs, steered


@pytest.mark.parametrize("call", [3, 17])
@pytest.mark.parametrize(("head", "token", "against"), [("cb0", None, None), ("cb0", 5, 9), ("action", 1, 0)])
def test_the_parts_add_up_to_the_logit(call: int, head: Any, token: int | None, against: int | None) -> None:
    trace, tts = runs()[0], engine(CHECKPOINT)
    found = direct_logit_attribution(trace, tts, call, token, against=against, head=head)
    replay = trace.replay(tts, [call])
    logits = (replay.cb0 if head == "cb0" else replay.action)[0, 0]
    drawn = int(trace.codes[call, 0]) if token is None else token
    expected = float(logits[drawn] - (0.0 if against is None else logits[against]))
    assert found.token == drawn
    assert found.logit == pytest.approx(expected)
    assert found.shares.sum() == pytest.approx(expected, rel=1e-4, abs=1e-4)
    assert found.shares.std() > 0.01, "no part is all of it"


def test_edits_have_a_share_of_their_own() -> None:
    (trace, added), tts = steered(), engine(CHECKPOINT)
    found = direct_logit_attribution(trace, tts, 12)
    assert found.parts[-1] == "edits"
    assert found.shares.sum() == pytest.approx(found.logit, rel=1e-4)
    model = tts.runtime.model.transformer
    direct = float(found.scale * added * model.norm.weight @ model.cb0_head.weight[found.token])
    assert found.shares[-1] == pytest.approx(direct, rel=1e-3), "what is added to the stream stays in it"
    assert abs(direct) > 0.01
    before = direct_logit_attribution(trace, tts, 5)
    assert before.shares[-1] == pytest.approx(0.0, abs=1e-4), "the edit begins with call 9"


def test_heads_add_up_to_their_layers_attention() -> None:
    trace, tts = runs()[0], engine(CHECKPOINT)
    found = direct_logit_attribution(trace, tts, 12)
    attention = [found.shares[found.parts.index(f"act.{layer}.attn")] for layer in range(len(found.heads))]
    assert found.heads.sum(axis=1) == pytest.approx(attention, rel=1e-3, abs=1e-4)
    assert found.heads.shape == (trace.model.layers, trace.model.heads)
    assert found.parts[:3] == ["act.embed", "act.0.attn", "act.0.mlp"]


@pytest.mark.parametrize(
    ("given", "told"),
    [({"token": 999}, "no token 999: cb0 has"), ({"head": "dep"}, "cb0 or action"), ({"against": -1}, "no token -1")],
)
def test_what_is_not_there_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        direct_logit_attribution(runs()[0], engine(CHECKPOINT), 12, **given)
