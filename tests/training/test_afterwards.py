"""The comparison after fine-tuning is by what was held back, and by voices that speak alone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import soundfile
import torch

from training import afterwards as module
from training.afterwards import afterwards
from training.recordings.clips import Clip
from training.recordings.preparing import PreparedRecordings
from training.spoken import Spoken
from training.streams import Utterance


def utterance(*said: tuple[str, int]) -> Utterance:
    spoken = tuple(Spoken(text, speaker, float(i), i + 0.5) for i, (text, speaker) in enumerate(said))
    return Utterance(spoken, float(len(said)), torch.zeros(8, 12 * len(said), dtype=torch.long))


def ready(path: Path, one: Utterance, level: float, *doubts: str) -> Any:
    """A recording of a constant level, so that it is known again."""
    soundfile.write(path, np.full(24_000, level) * np.sign(np.sin(np.arange(24_000) / 20)), 24_000)
    judged, prepared = SimpleNamespace(clip=Clip(path.name, path)), SimpleNamespace(utterance=one)
    return SimpleNamespace(judged=judged, prepared=prepared, doubts=doubts)


def test_scripts_are_those_held_back_and_voices_of_who_speaks_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other, both = utterance(("Hello.", 1)), utterance(("Hi.", 2)), utterance(("Hello.", 1), ("Hi.", 2))
    recordings = PreparedRecordings(
        [one, other],
        [both, both, utterance(("Bye.", 2))],
        cast("Any", SimpleNamespace(ready=(
            ready(tmp_path / "a.wav", one, 0.1),
            ready(tmp_path / "b.wav", both, 0.2),
            ready(tmp_path / "c.wav", other, 0.3),
            ready(tmp_path / "d.wav", other, 0.4, "hardly heard"),
        ))),
    )  # fmt: skip
    given: dict[str, Any] = {}

    def compare(before: object, after: object, report: Path, scripts: list[str], **options: Any) -> object:
        given.update(options, before=before, after=after, scripts=scripts)
        return "found"

    monkeypatch.setattr(module, "compare", compare)
    monkeypatch.setattr(module, "print_table", lambda *_: None)
    monkeypatch.setattr(module, "Speaker", lambda samples, rate: (len(samples), round(float(abs(samples).max()), 2)))
    found = afterwards({"nano": True}, {"hf": "x"}, tmp_path / "report", recordings, "base", "de", {"device": "cpu"})
    assert cast("object", found) == "found"
    assert given["scripts"] == ["[S1] Hello. [S2] Hi.", "[S2] Bye."]
    assert given["speakers"] == {1: (24_000, 0.1), 2: (24_000, 0.3)}
    assert (given["whisper"], given["language"], given["model"]) == ("base", "de", {"device": "cpu"})


def test_nothing_held_back_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recordings = PreparedRecordings([utterance(("Hello.", 1))], [], cast("Any", None))
    assert afterwards({}, {}, tmp_path, recordings, "base", "en", {}) is None
    assert capsys.readouterr().out == "note: nothing was held back, so there is nothing to compare by\n"
