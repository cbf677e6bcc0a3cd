"""Recording a family by its declaration: what its draws chose among, and how its calls become columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from dia2.common.hooks import Span
from dia2.inspect.record.declared import Calls, DeclaredRecording, DeclaredValues, DrawLogits, draw_table
from dia2.inspect.record.sink import TraceSink
from dia2.inspect.schema.saying import Sayings
from dia2.inspect.store.declared import DeclaredRun

from .test_console_declared import ADAPTER

SPAN = Span("hum.loop", {}, 0.0)
LOGITS = torch.tensor([[0.0, 3.0, 1.0, 2.0], [5.0, 1.0, 4.0, 0.0]])  # of two calls


class Recording(DeclaredRecording):
    """Of one voice with two codebooks."""

    adapter = ADAPTER
    say: ClassVar[Sayings] = {}

    def facts(self, span: Span) -> DeclaredRun:
        most: Any = span.inputs.get("most", 11)
        return DeclaredRun(sizes={"voices": 1, "K": 2, "syllables": most})

    def learn(self, span: Span) -> None:
        if span.name == "hum.loop":
            self.ended()


def calls(first: int = 0, draws: Mapping[str, DrawLogits] | None = None) -> Calls:
    sung = torch.tensor([[1, 3], [2, 0]], dtype=torch.int32)
    return Calls(
        first, draws is not None, {"sung": sung, "heat": torch.tensor([36, 37], dtype=torch.int32)}, draws or {}
    )


@pytest.mark.parametrize(("temperature", "top_k", "kept"), [(1.0, 0, 4), (0.5, 2, 2), (2.0, 99, 4), (0.0, 3, 1)])
def test_without_guidance_the_best_by_logit_are_kept(temperature: float, top_k: int, kept: int) -> None:
    found = DrawLogits.of(LOGITS, temperature, top_k)
    assert torch.equal(found.cond, LOGITS)
    assert torch.equal(found.guided, LOGITS)
    assert (~found.scores.isneginf()).sum(dim=1).tolist() == [kept, kept]
    best = LOGITS.topk(kept).indices
    wanted = LOGITS.gather(1, best).div(temperature or 1).softmax(1)
    assert torch.allclose(found.scores.softmax(1).gather(1, best), wanted)


def test_a_table_tells_each_draw_s_own_candidates_and_chance() -> None:
    guided = torch.tensor([[0.0, 1.0, 9.0, 2.0], [1.0, 2.0, 3.0, 4.0]])
    scores = guided.masked_fill(torch.tensor([[False] * 4, [True, False, False, True]]), -torch.inf)
    draws = {"book.0": DrawLogits.of(LOGITS, 1.0, 2), "book.1": DrawLogits(LOGITS, guided, scores)}
    table = draw_table(ADAPTER, calls(0, draws), ["book.0", "book.1"])
    assert table.choice.tolist() == [[1, 3], [2, 0]]
    assert table.ids[0, 1, :5].tolist() == [1, 3, 2, 0, -1]
    assert table.cond[0, 1, :4].tolist() == [3.0, 2.0, 1.0, 0.0]
    assert table.guided[0, 1, :4].tolist() == [1.0, 2.0, 9.0, 0.0]
    assert table.kept[1, 1, :4].tolist() == [False, True, True, False]  # ids 0, 2, 1, 3
    assert table.probability[0, 1] == pytest.approx(guided[0].softmax(0)[3].item())
    assert table.probability[1, 1] == 0  # an edit chose what could not be drawn
    assert table.probability[1, 0] == pytest.approx(LOGITS[1, [0, 2]].softmax(0)[1].item())


@contextmanager
def begun(path: Path, *selected: str) -> Iterator[tuple[Recording, TraceSink]]:
    recording = Recording(sink := TraceSink(path / "run.dia2trace", {"result": None}))
    recording.begin_run(SPAN, frozenset(selected))
    yield recording, sink
    sink.writer.close()


def test_calls_in_a_row_become_columns(tmp_path: Path) -> None:
    with begun(tmp_path, "draw.book.1", "heat") as (recording, sink):
        draws = {name: DrawLogits.of(LOGITS, 1.0) for name in ("book.0", "book.1")}
        first, second = calls(4, draws), calls(6, draws)
        assert (recording.first(second), recording.count(second), recording.codebooks(SPAN)) == (
            6,
            2,
            2,
        )
        assert recording.kind(first) == recording.kind(second) != recording.kind(calls(8))
        assert recording.held_bytes(first) == 4 * (2 + 1) + 2 * 3 * 4 * 4
        found = recording.columns([first, second], draws=True, logits=False)
        assert found["call"].tolist() == [4, 5, 6, 7]
        assert found["phase"].tolist() == [1] * 4
        assert found["heat"].tolist() == [36, 37] * 2
        assert found["draw.ids"].shape == (4, 1, 16)
        assert sink.fired == {"heat", "draw.book.1"}
        assert "draw.ids" not in recording.columns([first], draws=False, logits=False)
        assert recording.columns([calls(8)], draws=True, logits=False)["phase"].tolist() == [0, 0]


def test_what_is_held_is_its_own(tmp_path: Path) -> None:
    with begun(tmp_path, "draw.book.0") as (recording, _):
        made = calls(0, {"book.0": DrawLogits.of(LOGITS.clone(), 1.0)})
        held = recording.copied(made)
        for tensor in (*made.columns.values(), *made.draws["book.0"]):
            tensor.zero_()
        assert held.columns["heat"].tolist() == [36, 37]
        assert torch.equal(held.draws["book.0"].cond, LOGITS)


def test_a_run_is_cut_short_until_it_has_ended(tmp_path: Path) -> None:
    with begun(tmp_path) as (recording, sink):
        assert recording.cut_short() == "the run was left before its end"
        recording.learn(SPAN)
        assert recording.cut_short() is None
        recording.sound(torch.zeros(0), 8000)
        assert "audio" not in sink.manifest
        recording.sound(torch.full((8,), 0.5), 8000)
        assert sink.manifest["audio"] == ["audio.flac"]
        assert sink.manifest["draws"] == []


@pytest.mark.parametrize(("most", "narrow"), [(2**15 - 1, True), (2**15, False)])
def test_ids_take_two_bytes_where_all_of_them_fit(most: int, narrow: bool, tmp_path: Path) -> None:
    sink = TraceSink(tmp_path / "run.dia2trace", {"result": None})
    Recording(sink).begin_run(Span("hum.loop", {"most": most}, 0.0), frozenset())
    assert sink.writer.small == (ADAPTER.layout.small if narrow else frozenset())
    sink.writer.close()


def test_values_come_call_by_call() -> None:
    draws: dict[str, Any] = {"book.0": DrawLogits.of(LOGITS, 1.0), "book.1": DrawLogits.of(LOGITS, 1.0)}
    seen = list(DeclaredValues(ADAPTER).frames(calls(0, draws), {"draw.book.1"}))
    assert [int(np.asarray(values["call"])) for values in seen] == [0, 1]
    assert "draw.book.0" not in seen[0]
    draw: Any = seen[1]["draw.book.1"]
    assert (draw.name, draw.choice, draw.candidates[0].token) == ("book.1", 0, 0)
    assert torch.equal(torch.as_tensor(seen[1]["logits.book.0"]), LOGITS[1])
