"""The picture of a call: what a family declares for it is there, and wrong declarations are refused."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from dia2.adapter.trace import Dia2Trace
from dia2.adapter.view_calls import _OUTCOMES
from dia2.adapter.view_pipeline import OUTCOMES
from dia2.common.hooks import observing
from dia2.inspect import load, record, sample
from dia2.inspect.schema.view_pipeline import Arrow, Box, Choice, Codes, Line, Meter, Pipeline, Stage, Token
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.explorer.live import Follower
from dia2.inspect.views.explorer.payload import payload
from dia2.inspect.views.explorer.view import view_of

from ..support.dia import toy
from ..support.reference import engine
from .test_console_trace import recorded
from .test_explorer import opened


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> list[Trace[Any]]:
    path = tmp_path_factory.mktemp("dia") / "run.dia2trace"
    with record(path):
        toy().speak(["[S1] Hi.", "[S1] No."], seed=1, max_tokens=40)
    return [sample(), Dia2Trace(recorded()), load(path)]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_all_that_it_names_is_there(traces: list[Trace[Any]], which: int) -> None:
    trace = traces[which]
    declared: Pipeline = trace.adapter.load("pipeline")(trace)
    view = view_of(trace)
    assert declared.columns <= set(view.columns)
    books = {draw["book"] for draw in view.header["draws"]}
    drawn = {item.book for box in declared.boxes for item in box.items if isinstance(item, Choice)}
    assert drawn <= books
    rows = [number for box in declared.boxes for number in box.rows]
    assert set(rows) == {row.number for row in trace.adapter.rows}  # they are its legend, all of them
    assert view.header["pipeline"] == declared.header()


@pytest.mark.parametrize("which", [0, 1, 2])
def test_boxes_of_a_stage_stand_beside_each_other(traces: list[Trace[Any]], which: int) -> None:
    trace = traces[which]
    declared: Pipeline = trace.adapter.load("pipeline")(trace)
    for boxes in (declared.before, *(stage.boxes for stage in declared.stages)):
        lanes = sorted(box.lane for box in boxes)
        assert lanes[0][0] == 0
        assert lanes[-1][1] == 1
        assert all(before[1] == after[0] for before, after in pairwise(lanes))


def test_names_of_columns_are_found_wherever_they_stand() -> None:
    items = (Line("{a:word}", "{b}"), Token("c", "c"), Meter("d", 1), Codes("e"), Codes("writes"), Choice(None))
    stage = Stage(Line("{f} {call}", "{g}"), (Box("box", "box", (1,), items, given="{h} {next}"),), given="{i}")
    declared = Pipeline("{j}", (), (stage,), ())
    assert declared.columns == {*"abcdefghij", "grid", "draw_choice"}


def test_a_column_that_does_not_exist_is_told_from_those_that_do() -> None:
    trace = sample()
    declared: Pipeline = trace.adapter.load("pipeline")(trace)
    wrong = replace(declared, told="{nowhere}")
    assert wrong.columns - set(view_of(trace).columns) == {"nowhere"}


def test_arrows_to_nowhere_and_names_that_are_there_twice_are_refused() -> None:
    one = Box("one", "one", (1,))
    stage = Stage(Line(""), (one,))
    with pytest.raises(ValueError, match="names the box 'two'"):
        Pipeline("", (), (stage,), (Arrow("one", "two"),))
    with pytest.raises(ValueError, match="two boxes 'one'"):
        Pipeline("", (one,), (stage,), ())


def test_outcomes_are_told_in_their_order() -> None:
    assert len(OUTCOMES) == len(_OUTCOMES)
    trace = sample()
    view = view_of(trace)
    taking = [
        call for call, outcome in enumerate(view.columns["outcome"].tolist()) if OUTCOMES[outcome] == "takes a word"
    ]
    assert taking == [word.call for word in trace.words if word.call is not None]


def test_a_family_that_declares_none_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = sample()
    bare = replace(trace.adapter, pipeline=None)
    monkeypatch.setattr(type(trace), "adapter", bare)
    header, _ = opened(payload(trace))
    assert header["pipeline"] is None


def test_without_the_voice_there_is_a_picture_all_the_same(tmp_path: Path) -> None:
    trace = Dia2Trace(recorded()).redact(tmp_path / "redacted.dia2trace", voice=True)
    header, columns = opened(payload(trace))
    assert header["pipeline"]
    assert "grid" not in columns


def bare(trace: Trace[Any]) -> Pipeline:
    """What a family may declare that has no view of its own."""
    boxes = (Box("in", "in", (1,), (Codes("call"),)), Box("out", "out", (2,), (Line("{step}"), Codes("writes"))))
    return Pipeline("call {call}", (), tuple(Stage(Line(box.name), (box,)) for box in boxes), (Arrow("in", "out"),))


def test_a_family_without_a_view_of_its_own_may_declare_one(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = sample()
    monkeypatch.setattr(type(trace), "adapter", replace(trace.adapter, view=None, pipeline=f"{__name__}:bare"))
    header, columns = opened(payload(trace))
    assert header["state_pane"]["kind"] == "row"  # of what is declared alone
    assert [box["name"] for stage in header["pipeline"]["stages"] for box in stage["boxes"]] == ["in", "out"]
    assert bare(trace).columns <= set(columns)


def test_a_run_that_goes_on_has_its_picture_from_the_start(tmp_path: Path) -> None:
    pieces: list[bytes] = []
    with record(tmp_path / "run.dia2trace") as recorder, observing(Follower(recorder, pieces.append)):
        engine("tiny4").generate("[S1] Hi.", seed=1)
    header, _ = opened(pieces[0])
    whole, _ = opened(payload(load(tmp_path / "run.dia2trace")))
    assert header["pipeline"] == whole["pipeline"]
