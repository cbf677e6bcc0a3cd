"""Figures of activations: what is kept as it comes, what counts as heard, and that all of it runs once."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dia2 import Clamp, Dia2, Steer, UsageError, Vector
from dia2.analysis import Direction
from training.activations import __main__ as command
from training.activations import scripts as module
from training.activations.intervals import in_second, more_words, share, words_heard
from training.activations.listening import Voices, count_heard
from training.activations.rows import Rows
from training.activations.scripts import alone, dialogues
from training.activations.steering import WAYS, _best, _case, _random, goal
from training.dialogue import split_of, words
from training.judge import Ear

OF = {"weights": "abc"}


class TestRows:
    def test_work_goes_on_where_it_was(self, tmp_path: Path) -> None:
        rows, path = Rows(tmp_path / "a" / "rows.jsonl", OF), tmp_path / "a" / "rows.jsonl"
        assert rows.missing([("a", 1), ("b", 2)]) == [("a", 1), ("b", 2)]
        rows.add(("a", 1), (1, 2))
        with path.open("a", encoding="utf-8") as file:
            file.write('[["b", 2], [3')  # killed while it wrote
        again = Rows(path, OF)
        assert again[("a", 1)] == [1, 2]
        assert ("b", 2) not in again
        again.add(("b", 2), 5)
        assert Rows(path, OF).missing([("a", 1), ("b", 2)]) == []

    def test_what_is_there_is_not_made_again(self, tmp_path: Path) -> None:
        rows, made = Rows(tmp_path / "rows.jsonl", OF), []
        for _ in range(2):
            assert rows.once(("one",), lambda: made.append(1) or {"x": 1.5}) == {"x": 1.5}  # type: ignore[func-returns-value]  # it gives the row
        assert made == [1]

    def test_figures_of_something_else_are_refused(self, tmp_path: Path) -> None:
        Rows(tmp_path / "rows.jsonl", OF)
        with pytest.raises(UsageError, match="of another checkpoint or of other settings"):
            Rows(tmp_path / "rows.jsonl", {"weights": "other"})
        for damaged in ("", "{\n", '{"weights": "abc"}\n[1\n', '{"weights": "abc"}\n[[["a"]], 3]\n'):
            (tmp_path / "rows.jsonl").write_text(damaged, encoding="utf-8")
            with pytest.raises(UsageError, match="is damaged"):
                Rows(tmp_path / "rows.jsonl", OF)


def test_shares_are_of_all_words_together() -> None:
    told = np.array([[[3, 4, 1, 10], [1, 4, 1, 0]], [[10, 10, 8, 10], [9, 10, 10, 10]]], float)  # [scripts, seeds, 4]
    assert words_heard(told).mean == pytest.approx(23 / 28)
    assert in_second(told).mean == pytest.approx(20 / 30)
    assert more_words(told, told)._asdict() == {"mean": 0, "low": 0, "high": 0}
    fewer = told.copy()
    fewer[0, :, 0] -= 1
    found = more_words(fewer, told)
    assert (found.mean, found.low, found.high) == pytest.approx((-2 / 28, -0.25, 0.0))
    assert share(np.zeros(2), np.zeros(2)).mean == 0
    assert found.text(signed=True) == "-7 (-25 … +0)"


def test_the_best_turns_the_voice_and_keeps_most_words() -> None:
    def row(second: float, heard: float, more: float = 0.0) -> dict[str, Any]:
        return {"second": {"mean": second}, "words": {"mean": heard}, "more words": {"mean": more}}

    rows = [row(0.2, 0.9), row(0.95, 0.5), row(0.91, 0.6)]
    assert _best(rows) is rows[2]
    assert _best([rows[0], row(0.5, 0.1)])["second"]["mean"] == 0.5
    assert [goal(row(*one)) for one in ((0.9, 0, -0.05), (0.89, 0, 0.0), (0.99, 0, -0.06))] == [
        *("reached", "not reached", "not reached"),
    ]


def test_a_direction_is_added_or_set() -> None:
    vector = Vector(np.array([0.0, 2.0]))
    voice = Direction("act.1.resid", vector, "", "", 2.0, (1, 1), ends=(-0.5, 1.5))
    added, set_to = WAYS
    assert _case(added, voice, 0.5) == ("act.1.resid + 0.5 voice", [Steer("act.1.resid", vector, 0.5)])
    assert _case(set_to, voice, 0.5) == ("act.1.resid = 0.5 voice", [Clamp("act.1.resid", vector, 0.5)])
    assert [voice.between(strength) for strength in (0, 1, 2)] == [-0.5, 1.5, 3.5]
    control = _random(voice)
    assert float(control.vector.tensor.norm()) == pytest.approx(2.0)
    assert control.between(1) == 2.0


def test_scripts_are_of_their_split(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    def seen(*given: Any) -> tuple[str, ...]:
        found = sentences(*given)
        drawn.extend(found)
        return found

    sentences = module._sentences
    monkeypatch.setattr(module, "_sentences", seen)
    for split in ("train", "validation", "test"):
        drawn.clear()
        scripts = [*alone(split, 3), *dialogues(split, 3)]
        assert {split_of(sentence) for sentence in drawn} == {split}
        assert words(" ".join(scripts).replace("[S1]", "").replace("[S2]", "")) == words(" ".join(drawn))
    assert all(len(words(script[4:])) >= 8 for script in alone("test", 5))
    assert alone("test", 2) == alone("test", 4)[:2]


def test_words_are_heard_in_their_order() -> None:
    ear = Ear.__new__(Ear)
    ear._language = "en"
    ear._model = SimpleNamespace(transcribe=lambda sound, **_: {"text": " hello, the BIG table!"})
    trace: Any = SimpleNamespace(audio=(np.zeros(2400, np.float32), 24_000))
    assert count_heard(ear, trace, "[S1] Hello, big the table. [S2] It's.") == (3, 6)  # "it is" are two


def test_voices_are_told_by_the_middle_of_their_pitches() -> None:
    hertz = np.array([100.0, 140.0, 142.0, 200.0])
    assert Voices((100.0, 200.0)).second(hertz) == (2, 4)
    assert Voices((200.0, 100.0)).second(hertz) == (2, 4)
    assert Voices((200.0, 100.0)).second(hertz[:1]) == (1, 1)


@pytest.mark.slow
def test_all_of_it_runs_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Deaf:
        def __init__(self, name: str) -> None:
            assert name == "tiny.en"

        def plain(self, text: str) -> list[str]:
            return text.lower().split()

        def hear(self, samples: np.ndarray, rate: int) -> list[str]:
            return ["the"]

    monkeypatch.setattr(command, "Ear", Deaf)
    assert command.main([str(tmp_path / "out"), "--quick"]) == 0
    said = capsys.readouterr().out
    for title in ("## Steering", "## Heads", "## Probes", "untrained", "by [S2]", "without the reader"):
        assert title in said
    found = json.loads((tmp_path / "out" / "figures.json").read_text(encoding="utf-8"))
    assert len(found["heads"]["rows"]) == 20
    assert (tmp_path / "out" / "figures.md").read_text(encoding="utf-8") in said
    monkeypatch.setattr(Dia2, "generate_many", lambda *_: pytest.fail("nothing is spoken again"))
    assert command.main([str(tmp_path / "out"), "--quick"]) == 0
    monkeypatch.setattr(command, "Ear", lambda name: (_ for _ in ()).throw(KeyboardInterrupt))
    assert command.main([str(tmp_path / "out"), "--quick"]) == 130
    assert "goes on from there" in capsys.readouterr().err
