"""A run is shown while it is generated: the pieces that are sent add up to the view of the whole."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dia2.common.errors import UsageError
from dia2.common.hooks import observing
from dia2.common.progress import Progress
from dia2.generation import GenerationConfig, GenerationInterrupted
from dia2.inspect import Dia2Trace, follow, record
from dia2.inspect.views.console import frame_facts
from dia2.inspect.views.explorer.live import Follower
from dia2.inspect.views.explorer.payload import payload
from dia2.inspect.views.explorer.view import view_of
from dia2.inspect.views.explorer.widget import LiveExplorer
from dia2.runtime.state_machine import Emission, State, StateMachine

from ..support.reference import Case, engine
from .test_explorer import opened

SCRIPT = '[S1] Hello there. <break time="0.5s"/> How are you? [S2] Fine.'


def grown(pieces: list[bytes]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and columns as the front end puts them together."""
    header, columns = opened(pieces[0])
    for piece in pieces[1:]:
        more, added = opened(piece)
        header["words"] += more["words"]
        header["entries"] += more["entries"]
        header["reasons"] = more["reasons"]
        header["clock"] = more.get("clock", header["clock"])
        cells = added.pop("grid", None)
        if cells is not None:
            first, old = more["grid_at"], columns["grid"]
            grid = np.full((max(len(old), first + len(cells)), cells.shape[1]), -1, cells.dtype)
            grid[: len(old)] = old
            grid[first : first + len(cells)] = cells
            columns["grid"] = grid
        for name, column in added.items():
            columns[name] = np.concatenate([columns[name], column]) if name in columns else column
    return header, columns


@pytest.mark.parametrize(
    "case",
    [
        Case("tiny4", "plain_cfg1"),
        Case("tiny4", "prefix2"),
        Case("tiny3", "prefix2"),  # whose sound does not begin with the main loop
        pytest.param(Case("tiny8", "prefix2"), marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_the_pieces_are_the_view(case: Case, tmp_path: Path) -> None:
    pieces: list[bytes] = []
    config = case.config(seed=3)
    with record(tmp_path / "run.dia2trace") as recorder, observing(Follower(recorder, pieces.append)):
        engine(case.checkpoint).generate(case.expected["script"], config)
    trace = Dia2Trace.load(tmp_path / "run.dia2trace")
    view = view_of(trace)
    header, columns = grown(pieces)
    assert len(pieces) > 2
    at_end = {"peaks", "loudness", "surprise", "pull"}  # with the draws and the sound
    for name, column in view.columns.items():
        if name not in at_end and not name.startswith(("draw_", "best_")):
            np.testing.assert_array_equal(columns[name], column, err_msg=name)
    said = {name: view.header[name] for name in ("entries", "reasons", "given", "grid", "caches", "tokens", "clock")}
    assert {name: header[name] for name in said} == said
    assert header["words"] == [word for word in view.header["words"] if word["call"] is not None]
    assert header["live"]


@pytest.mark.parametrize("prefixed", [False, True])
def test_streamed_text_comes_with_the_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefixed: bool) -> None:
    """The queue at each call, in the console and in the live and the whole view, is what the machine had."""
    pieces: list[bytes] = []
    left: list[list[str]] = []  # after each call
    step = StateMachine.step

    def watched(self: StateMachine, at: int, state: State, action: int, *, forced: bool = False) -> Emission:
        emitted = step(self, at, state, action, forced=forced)
        left.append([entry.text for entry in state.entries])
        return emitted

    monkeypatch.setattr(StateMachine, "step", watched)
    said = '[S1] Hello there. How are you? <break time="0.5s"/> Well, thank you.'
    config = Case("tiny4", "prefix2").config(seed=1) if prefixed else GenerationConfig(seed=1)
    path = tmp_path / "run.dia2trace"
    with record(path, doctor=False) as recorder, observing(Follower(recorder, pieces.append)):
        for _ in engine("tiny4").stream((word + " " for word in said.split(" ")), config):
            pass
    trace = Dia2Trace.load(path)
    script = ["Hello", "there.", "How", "are", "you?", "Well,", "thank", "you."]
    assert len(left[0]) < len(trace.run.entries) - 1, "the text comes while the run goes on"
    live, whole = grown(pieces), opened(payload(trace))
    for header, columns in (live, whole):
        assert [entry["text"] for entry in header["entries"] if entry["tokens"]][-len(script) :] == script
        for call, texts in enumerate(left):  # as `entriesAfter` of the front end has it
            first, count = int(columns["taken"][call]), int(columns["entries_left"][call])
            assert [entry["text"] for entry in header["entries"][first : first + count]] == texts
    assert [word["text"] for word in live[0]["words"]][-len(script) :] == script
    assert len(left) == len(trace)
    assert trace.machine_at(-1).entries_left == len(left[0]) + int(trace.column("consumed")[0])
    before = [entry.text for entry in trace.queue_at(-1)]
    for call, texts in enumerate(left):
        assert [entry.text for entry in trace.queue_at(call)] == texts
        facts = frame_facts(trace, call)
        assert [text or "" for text in facts["before"]["next"]] == before[:6]
        assert [text or "" for text in facts["after"]["next"]] == texts[:6]
        before = texts


def test_the_queue_of_a_fork_of_streamed_text_is_its_own(tmp_path: Path) -> None:
    """It has all of the text from its first call on."""
    tts, path = engine("tiny4"), tmp_path / "run.dia2trace"
    with record(path):
        for _ in tts.stream(iter(["[S1] Hello ", "there. ", "How ", "are ", "you?"]), seed=1):
            pass
    Dia2Trace.load(path).fork(tts, 5, path=tmp_path / "fork.dia2trace")
    fork = Dia2Trace.load(tmp_path / "fork.dia2trace")
    assert [entry.text for entry in fork.queue_at(-1)] == ["Hello", "there.", "How", "are", "you?"]
    header, columns = opened(payload(fork))
    for call in range(len(fork)):
        first, count = int(columns["taken"][call]), fork.machine_at(call).entries_left
        assert first + count == len(header["entries"])
        assert fork.queue_at(call) == fork.run.entries[first:]


def test_calls_are_told_of_at_least_five_times_a_second(tmp_path: Path) -> None:
    at: list[float] = []
    slowest = 0.0
    last = time.monotonic()

    def watch(now: Progress) -> None:
        nonlocal slowest, last
        slowest, last = max(slowest, time.monotonic() - last), time.monotonic()

    with (
        record(tmp_path / "run.dia2trace") as recorder,
        observing(Follower(recorder, lambda _: at.append(time.monotonic()))),
    ):
        engine("tiny4").generate(SCRIPT, seed=1, progress=watch)
    # A call that lasts long itself, as on a busy machine, cannot be told of sooner.
    assert max(np.diff(at[1:])) < 0.2 + slowest + 0.1


def test_the_widget_grows_and_becomes_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "run.dia2trace"
    with follow(path) as explorer:
        engine("tiny4").generate(SCRIPT, seed=1)
        assert repr(explorer) == "<LiveExplorer of a run in progress>"
        assert len(explorer._pieces) > 2
        assert not explorer._views
    assert isinstance(explorer, LiveExplorer)
    assert explorer.trace is not None
    assert explorer.trace.complete
    assert repr(explorer) == f"<LiveExplorer of run.dia2trace: {len(explorer.trace)} calls, complete>"
    assert not explorer._pieces
    header, _ = opened(explorer._views[0])
    assert header["sounds"]
    assert "live" not in header


def test_what_was_made_before_ctrl_c_stays(tmp_path: Path) -> None:
    def stop(now: Progress) -> None:
        if now.frames == 12:
            raise KeyboardInterrupt

    with pytest.raises(GenerationInterrupted), follow(tmp_path / "run.dia2trace") as explorer:
        engine("tiny4").generate(SCRIPT, seed=1, progress=stop)
    assert explorer.trace is not None
    assert len(explorer.trace) >= 12
    assert explorer.trace.state == "partial: interrupted by the user"


def test_what_cannot_be_recorded_is_refused_and_an_older_trace_left_alone(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"), follow(tmp_path / "no" / "run.dia2trace"):
        pass
    engine("tiny4").generate(SCRIPT, seed=1, trace=tmp_path / "run.dia2trace")
    with pytest.raises(UsageError, match="no trace level"), follow(tmp_path / "run.dia2trace", level="all"):  # type: ignore[arg-type]  # that is the test
        pass
    assert Dia2Trace.load(tmp_path / "run.dia2trace").complete


def test_a_block_without_a_run_ends_quietly(tmp_path: Path) -> None:
    with follow(tmp_path / "run.dia2trace") as explorer:
        pass
    assert explorer.trace is None
