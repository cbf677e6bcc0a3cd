"""A run is shown while it is generated: the pieces that are sent add up to the view of the whole."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dia2.errors import UsageError
from dia2.generation import GenerationInterrupted
from dia2.hooks import observing
from dia2.inspect import follow, load, record
from dia2.inspect.explorer.live import Follower
from dia2.inspect.explorer.view import view_of
from dia2.inspect.explorer.widget import LiveExplorer
from dia2.progress import Progress

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


@pytest.mark.parametrize("case", [Case("tiny4", "plain_cfg1"), Case("tiny8", "prefix2")], ids=str)
def test_the_pieces_are_the_view(case: Case, tmp_path: Path) -> None:
    pieces: list[bytes] = []
    config = case.config(seed=3)
    with record(tmp_path / "run.dia2trace") as recorder, observing(Follower(recorder, pieces.append)):
        engine(case.checkpoint).generate(case.expected["script"], config)
    trace = load(tmp_path / "run.dia2trace")
    view = view_of(trace)
    header, columns = grown(pieces)
    assert len(pieces) > 2
    for name, column in view.columns.items():
        if name != "peaks" and not name.startswith(("draw_", "best_")):  # these come with the end
            np.testing.assert_array_equal(columns[name], column, err_msg=name)
    said = {name: view.header[name] for name in ("entries", "reasons", "given", "grid", "caches", "tokens")}
    assert {name: header[name] for name in said} == said
    assert header["words"] == [word for word in view.header["words"] if word["call"] is not None]
    assert header["live"]


def test_streamed_text_comes_with_the_calls(tmp_path: Path) -> None:
    pieces: list[bytes] = []

    def script() -> Iterator[str]:
        yield "[S1] Hello there. "
        yield "How are you?"

    with record(tmp_path / "run.dia2trace") as recorder, observing(Follower(recorder, pieces.append)):
        for _ in engine("tiny4").stream(script(), seed=1):
            pass
    header, _ = grown(pieces)
    assert [entry["text"] for entry in header["entries"]] == ["Hello", "there.", "How", "are", "you?"]
    assert [word["text"] for word in header["words"]] == ["Hello", "there.", "How", "are", "you?"]


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
        assert repr(explorer) == "<LiveExplorer of a run that goes on>"
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
    assert load(tmp_path / "run.dia2trace").complete


def test_a_block_without_a_run_ends_quietly(tmp_path: Path) -> None:
    with follow(tmp_path / "run.dia2trace") as explorer:
        pass
    assert explorer.trace is None
