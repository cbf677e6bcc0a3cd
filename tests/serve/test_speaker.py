"""How long pieces may be, and who is taken."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dia2 import Request
from dia2.runtime.streaming import StreamChunk
from dia2.serve import speaker as module
from dia2.serve.limits import Limits
from dia2.serve.runs import Runs
from dia2.serve.speaker import BusyError, Speaker, StoppingError, _Job

from ..support.reference import engine

FRAME = 0.08


def least(monkeypatch: pytest.MonkeyPatch, took: float, pieces: int, whole: bool = False) -> list[int]:
    """What follows of pieces of a frame, each of which takes so many seconds."""
    now = SimpleNamespace(monotonic=lambda: 0.0)
    monkeypatch.setattr(module, "time", now)
    stream: Any = SimpleNamespace(least=1)
    job = _Job(0, Request("[S1] Hi."), lambda _: None, whole, stream)
    found = []
    for number in range(pieces):
        now.monotonic = lambda number=number: 100 + number * took
        job.pace(StreamChunk(torch.zeros(1920), 24_000, number * FRAME, []), 12.5)
        found.append(stream.least)
    return found


def test_pieces_grow_as_far_as_the_listener_is_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    assert least(monkeypatch, FRAME, 50) == [1] * 50, "as fast as it is played: nothing is in hand"
    assert least(monkeypatch, 2 * FRAME, 50) == [1] * 50
    assert least(monkeypatch, 0.0, 9) == [1, 1, 1, 2, 2, 3, 3, 4, 4]
    found = least(monkeypatch, FRAME / 2, 40)
    assert found == sorted(found)
    assert max(found) == 4


def test_what_is_not_played_yet_comes_in_long_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    assert least(monkeypatch, FRAME, 3, whole=True) == [25, 25, 25]


def test_those_that_wait_and_those_that_speak_have_a_bound() -> None:
    speaker = Speaker(engine("tiny4"), rows=2, queue=1)  # it is not started: all wait
    keys = [speaker.submit(Request("[S1] Hi."), lambda _: None) for _ in range(3)]
    with pytest.raises(BusyError, match="0 requests are spoken and 3 wait"):
        speaker.submit(Request("[S1] Hi."), lambda _: None)
    speaker.cancel(keys[1])
    assert speaker.load == (0, 2)
    speaker.submit(Request("[S1] Hi."), lambda _: None)
    speaker.stop()
    with pytest.raises(StoppingError, match="is stopping"):
        speaker.submit(Request("[S1] Hi."), lambda _: None)


def test_the_history_of_runs_is_bounded_and_holds_no_pieces(tmp_path: Any) -> None:
    from dia2.serve.runs import recorded

    runs = Runs(tmp_path, 2)
    made = []
    for number in range(4):
        run = runs.new(str(number))
        with recorded(run):
            run.pieces.append(b"piece")
            run.path.mkdir(exist_ok=True)
        assert (run.over, run.pieces) == (True, [])
        made.append(run)
    assert [run.script for run in runs.listed()] == ["3", "2"]
    assert [run.path.exists() for run in made] == [False, False, True, True]
    waiting = runs.new("waits")
    runs.forget(waiting)
    assert waiting.over, "who looks at it need not wait"
    assert Limits().runs == 50
