"""Declared edits of activations: what may be declared, and what reaches the network in each call."""

from __future__ import annotations

import copy
import pickle
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from dia2.common.errors import UsageError
from dia2.core.acts import Write, Writes, at_stage
from dia2.core.config import parse_config
from dia2.runtime.activations import MOST, Ablate, ActivationEdit, Clamp, Patch, Point, Steer, Where
from dia2.runtime.after import Before
from dia2.runtime.vectors import Vector
from dia2.runtime.write_buffers import WriteBuffers
from dia2.runtime.written import Moment, Written

from ..support.models import tiny_config

CONFIG = parse_config(tiny_config())
BLOCK = CONFIG.model.decoder
STAGED, STAGES = CONFIG.model.depformer, len(CONFIG.weights_schedule)
WIDTH, HEADS, DIM = BLOCK.n_embd, BLOCK.gqa_query_heads, BLOCK.gqa_head_dim
CPU = torch.device("cpu")


def write_of(writes: Writes, point: str) -> Write:
    part, layer = Point.of(point)
    found = getattr(writes if layer is None else writes.layers[layer], part)
    assert isinstance(found, Write)
    return found


def after(
    x: Tensor, edits: list[ActivationEdit], call: int, word: int | None = None, speaker: int | None = None
) -> Tensor:
    """`x` [B, 1, …] at the one point of `edits`, in a call."""
    written = Written(edits, CONFIG, branches=len(x), device=CPU)
    buffers = WriteBuffers.make(written.needs, CONFIG, len(x), CPU)
    written.into(buffers)
    written.at(Moment(call + 1))  # whatever stood there
    written.at(Moment(call, word, speaker))
    found = buffers.places[edits[0].point].apply(x)
    at_once = written.over([Moment(call + 1), Moment(call, word, speaker)])
    several = write_of(at_once, edits[0].point).apply(x.expand(-1, 2, *x.shape[2:]))
    assert torch.equal(several[:, 1:], found), "many frames at once are each as one alone"
    return found


def x_of(point: str, branches: int = 2) -> Tensor:
    shape = (HEADS, DIM) if Point.of(point).part == "heads" else (WIDTH,)
    return torch.randn(branches, 1, *shape, generator=torch.Generator().manual_seed(1))


def numbers(*shape: int, seed: int = 2) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("point", ["act.embed", "act.0.attn", "act.1.mlp", "act.1.resid", "act.hidden"])
def test_steering_adds_in_its_calls_and_branches(point: str) -> None:
    x, vector = x_of(point), numbers(WIDTH)
    steer = Steer(point, vector, 0.5, Where(calls=(3, 4), branches="conditional"))
    for call, there in ((2, 0.0), (3, 0.5), (4, 0.5), (5, 0.0)):
        found = after(x, [steer], call)
        assert torch.equal(found[0], x[0] + there * vector)
        assert torch.equal(found[1], x[1])
    assert torch.equal(after(x, [Steer(point, vector, -2, Where(branches="unconditional"))], 0)[0], x[0])
    assert torch.equal(after(x[:1], [Steer(point, vector, -2, Where(branches="unconditional"))], 0), x[:1])


def test_words_and_speakers_are_those_that_the_machine_took_last() -> None:
    x, vector = x_of("act.hidden"), numbers(WIDTH)
    edits: list[ActivationEdit] = [Steer("act.hidden", vector, where=Where(words=(1, 3), speakers=(2,)))]
    there = [(word, speaker) for word in (None, 0, 1, 3) for speaker in (None, 1, 2)]
    found = [pair for pair in there if not torch.equal(after(x, edits, 0, *pair), x)]
    assert found == [(1, 2), (3, 2)]


def test_heads_are_taken_away_one_by_one() -> None:
    x = x_of("act.1.heads")
    found = after(x, [Ablate("act.1.heads", heads=(1,))], 0)
    assert not found[:, :, 1].any()
    assert torch.equal(found[:, :, 0], x[:, :, 0])
    assert not after(x, [Ablate("act.1.heads")], 0).any()
    mean = numbers(HEADS * DIM)
    found = after(x, [Ablate("act.1.heads", mean, heads=(0,))], 0)
    assert torch.equal(found[0, 0, 0], mean.view(HEADS, DIM)[0])
    assert torch.equal(found[:, :, 1], x[:, :, 1])


def test_a_patch_puts_another_runs_calls_in_place() -> None:
    x, values = x_of("act.0.resid"), numbers(3, WIDTH)
    for call in range(7, 13):
        found = after(x, [Patch("act.0.resid", values, first=8)], call)
        wanted = values[call - 8].expand(2, 1, WIDTH) if 8 <= call < 11 else x
        assert torch.equal(found, wanted)


def test_edits_of_one_point_are_done_in_order_and_clamps_last() -> None:
    x, vector = x_of("act.0.resid"), numbers(WIDTH)
    steer, zero = Steer("act.0.resid", vector), Ablate("act.0.resid")
    assert torch.equal(after(x, [steer, zero], 0), torch.zeros_like(x))
    assert torch.equal(after(x, [zero, steer], 0), vector.expand_as(x))
    clamp = Clamp("act.0.resid", 5 * vector, 3.0)
    found = after(x, [clamp, steer], 0)
    assert torch.allclose(found @ (vector / vector.norm()), torch.tensor(3.0), atol=1e-5)
    rest = torch.eye(WIDTH) - torch.outer(vector, vector) / vector.norm() ** 2
    assert torch.allclose(found @ rest, (x + vector) @ rest, atol=1e-5)
    assert torch.equal(after(x, [Clamp("act.0.resid", vector, 3.0, Where(calls=(5, 9)))], 4), x)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (Steer("act.1.resid", [1.0], 0.1), "act.1.resid + 0.1 · vector 4b53eae9"),
        (Steer("act.1.resid", [1.0], 2, Where((3, 3))), "act.1.resid + 2 · vector 4b53eae9, call 3"),
        (Ablate("act.0.heads", heads=(3, 1, 2, 7)), "act.0.heads (heads 1 … 3, 7) becomes zero"),
        (
            Ablate("act.0.mlp", [1.0], where=Where(words=(4,), speakers=(1, 2), branches="conditional")),
            "act.0.mlp becomes vector 4b53eae9, word 4, speakers 1, 2, conditional branch",
        ),
        (Patch("act.0.mlp", [[1.0], [1.0]], 7), "act.0.mlp of calls 7 … 8 becomes vector aa83ef55"),
        (Clamp("act.embed", [1.0], -0.5, Where((4, MOST))), "act.embed has -0.5 along vector 4b53eae9, from call 4 on"),
        (
            Ablate("act.dep.0.heads", heads=(0,), where=Where(after={"padding_budget": (None, 2), "action": "pad"})),
            "act.dep.0.heads (head 0) becomes zero, after action pad, padding_budget ≤ 2",
        ),
        (
            Steer("act.dep.1.resid", [1.0], 1, Where(stages=(0, 1, 2), after={"main": 7, "end_step": (3, None)})),
            "act.dep.1.resid + 1 · vector 4b53eae9, after end_step ≥ 3, main 7, stages 0 … 2",
        ),
        (
            Ablate("act.0.mlp", where=Where(words=tuple(range(0, 100, 2)))),
            f"act.0.mlp becomes zero, words {', '.join(map(str, range(0, 32, 2)))} and so on, 50 in all",
        ),
    ],
)
def test_an_edit_in_words(edit: ActivationEdit, said: str) -> None:
    assert str(edit) == said


def test_an_edit_can_be_copied_and_pickled() -> None:
    edit = Steer("act.1.resid", numbers(4))
    for again in (pickle.loads(pickle.dumps(edit)), copy.deepcopy(edit)):  # our own
        assert again == edit
        assert torch.equal(again.vector.tensor, edit.vector.tensor)


def test_vectors_are_the_same_if_their_numbers_are() -> None:
    values = numbers(4)
    assert Vector(values) == Vector(values.numpy()) == Vector(values.tolist()) == Vector(values.double())
    assert len({Vector(values), Vector(values.clone()), Vector(values.view(1, 4)), Vector(-values)}) == 3
    assert Steer("act.embed", Vector(values)) == Steer("act.embed", values, 1)
    kept = Vector(values)
    values.zero_()
    assert kept.tensor.any()


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: Steer("act.resid", [1.0]), "A point is act.embed"),
        (lambda: Steer("act.01.resid", [1.0]), "A point is"),
        (lambda: Steer(cast(Any, 3), [1.0]), "A point is"),
        (lambda: Steer("act.embed", "loud"), "made of numbers"),
        (lambda: Steer("act.embed", [[1.0]]), r"Steer's vector has the shape \[width\], not \[1, 1\]"),
        (lambda: Steer("act.embed", [np.nan]), "finite"),
        (lambda: Steer("act.embed", []), "shape"),
        (lambda: Steer("act.embed", None), "Steer needs a vector"),
        (lambda: Steer("act.embed", [1.0], np.inf), "Steer's scale"),
        (lambda: Steer("act.embed", [1.0], where=cast(Any, (3, 4))), "Steer's where is a Where"),
        (lambda: Ablate("act.1.resid", heads=(0,)), "act.1.resid has none"),
        (lambda: Ablate("act.1.heads", heads=()), "Ablate's heads"),
        (lambda: Ablate("act.1.heads", heads=(-1,)), "Ablate's heads"),
        (lambda: Patch("act.1.resid", [1.0], 0), r"Patch's values has the shape \[calls, width\]"),
        (lambda: Patch("act.1.resid", [[1.0]], -1), "Patch's first call"),
        (lambda: Clamp("act.1.heads", [1.0], 0), "clamp act.L.attn"),
        (lambda: Clamp("act.1.resid", [0.0], 0), "points nowhere"),
        (lambda: Clamp("act.1.resid", [1.0], True), "Clamp's value"),
        (lambda: Where(calls=(4, 3)), "the first and the last"),
        (lambda: Where(calls=cast(Any, (4,))), "the first and the last"),
        (lambda: Where(speakers=(3,)), "speakers are 1 and 2"),
        (lambda: Where(words=cast(Any, "all")), "whole numbers"),
        (lambda: Where(words=(True,)), "whole numbers"),
        (lambda: Where(branches=cast(Any, "left")), "both, conditional or unconditional"),
        (lambda: Where(stages=(-1,)), "stages are whole numbers"),
        (lambda: Steer("act.1.resid", [1.0], where=Where(stages=(0,))), "act.1.resid has no stages"),
        (lambda: Clamp("act.dep.0.heads", [1.0], 0), "clamp act.dep.L.resid"),
        (lambda: Ablate("act.dep.0.resid", heads=(0,)), "act.dep.0.resid has none"),
        (lambda: Steer("act.dep.0.mlp", [1.0]), "A point is"),
        (lambda: Where(after={}), "by column"),
        (lambda: Where(after="action"), "by column"),
        (lambda: Where(after=(("action",),)), "by column"),
        (lambda: Where(after={"codes": 3}), "cannot ask for 'codes': before the network runs, only action, main"),
        (lambda: Where(after={"entries_left": 3}), "cannot ask for 'entries_left'"),
        (lambda: Where(after={3: 3}), "cannot ask for 3"),
        (lambda: Where(after={"action": 1}), "action new_word or pad, not 1"),
        (lambda: Where(after={"main": "word"}), "main a whole number"),
        (lambda: Where(after={"main": (None, None)}), "main a whole number"),
        (lambda: Where(after={"main": (1, 2, 3)}), "main a whole number"),
        (lambda: Where(after={"main": 1 << 40}), "main a whole number"),
        (lambda: Where(after={"padding_budget": (3, 2)}), "the least number first"),
    ],
)
def test_what_is_no_edit_is_refused(make: Any, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        make()


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (
            Steer("act.9.resid", [1.0] * WIDTH),
            f"There is no act.9.resid: the checkpoint has layers 0 … {BLOCK.n_layer - 1}",
        ),
        (Steer("act.1.resid", [1.0]), f"Steer has 1 numbers, and act.1.resid has {WIDTH}"),
        (Ablate("act.1.heads", heads=(HEADS,)), f"There is no head {HEADS}"),
        (Ablate("act.dep.9.heads"), f"There is no act.dep.9.heads: the depformer has layers 0 … {STAGED.n_layer - 1}"),
        (Ablate("act.dep.0.heads", heads=(9,)), "There is no head 9 in act.dep.0.heads"),
        (Steer("act.dep.0.resid", [1.0]), f"act.dep.0.resid has {STAGED.n_embd}"),
        (
            Ablate("act.dep.0.resid", where=Where(stages=(STAGES,))),
            f"There is no stage {STAGES} in act.dep.0.resid: it has stages 0 … {STAGES - 1}",
        ),
    ],
)
def test_what_does_not_fit_the_checkpoint_is_refused(edit: ActivationEdit, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        Written([edit], CONFIG, branches=1, device=CPU)


def test_a_checkpoint_of_one_codebook_has_no_depformer_to_write_into() -> None:
    given = tiny_config()
    given["data"] |= {"channels": 3, "delay_pattern": [0]}
    given["runtime"] |= {"weights_schedule": []}
    with pytest.raises(UsageError, match=r"There is no act\.dep\.0\.resid: the depformer has no layer\."):
        Written([Ablate("act.dep.0.resid")], parse_config(given), branches=1, device=CPU)


BEFORE = Before("new_word", main=5, second=7, consumed=1, padding_budget=-1, forced_padding=0, end_step=None)


@pytest.mark.parametrize(
    ("wanted", "holds"),
    [
        ({"action": "new_word"}, True),
        ({"action": "pad"}, False),
        ({"main": 5, "second": 7}, True),
        ({"main": 5, "second": 8}, False),
        ({"consumed": True}, True),
        ({"padding_budget": -1}, True),
        ({"padding_budget": (-1, -1)}, True),
        ({"padding_budget": (0, None)}, False),
        ({"padding_budget": (None, -1)}, True),
        ({"padding_budget": [None, -2]}, False),
        ({"end_step": (0, None)}, False),
        ({"end_step": (None, 1000)}, False),
    ],
)
def test_after_a_call_that_had_something(wanted: Any, holds: bool) -> None:
    where = Where(after=wanted)
    assert where.holds(3, None, None, BEFORE) is holds
    assert not where.holds(0, None, None, None), "no call comes before the first"
    assert Where(after=where.after) == where
    assert where.holds(3, None, None, BEFORE._replace(end_step=900)) is (holds or "end_step" in wanted)


def test_stages_and_branches_are_written_each_as_alone() -> None:
    """At once in many calls as in one after the other; and what is not named stays."""
    values = numbers(3, STAGED.n_embd)
    edits: list[ActivationEdit] = [
        Patch("act.dep.0.resid", values, 4, where=Where(stages=(1,), branches="conditional")),
        Steer("act.dep.0.resid", values[0], 2.0, Where(stages=(0,), calls=(5, 5))),
        Clamp("act.dep.0.resid", values[1], 1.5, Where(stages=(STAGES - 1,), branches="unconditional")),
    ]
    written = Written(edits, CONFIG, branches=2, device=CPU)
    buffers = WriteBuffers.make(written.needs, CONFIG, 2, CPU)
    written.into(buffers)
    x = torch.randn(2, STAGES, STAGED.n_embd, generator=torch.Generator().manual_seed(1))
    unit = values[1] / values[1].norm()
    moments = [Moment(call) for call in range(3, 8)]
    block = written.over_stages(moments).stages[0]
    assert block is not None
    assert block.resid is not None
    together = block.resid.apply(x.repeat(len(moments), 1, 1)).view(len(moments), *x.shape)
    for number, moment in enumerate(moments):
        written.at(moment)
        wanted = x.clone()
        if 4 <= moment.call < 7:
            wanted[0, 1] = values[moment.call - 4]
        if moment.call == 5:
            wanted[:, 0] += 2.0 * values[0]
        wanted[1, -1] += (1.5 - x[1, -1] @ unit) * unit
        place = buffers.writes.stages[0]
        for stage in range(STAGES):
            one = at_stage(place, stage)
            assert one is not None
            assert one.resid is not None
            assert torch.allclose(one.resid.apply(x[:, stage : stage + 1])[:, 0], wanted[:, stage], atol=1e-5)
        assert torch.allclose(together[number], wanted, atol=1e-5)
