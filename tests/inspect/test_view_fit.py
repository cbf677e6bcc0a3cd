"""What the explorer shows of how a prefix's words fit their sound: recordings whose words stand at known places."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from safetensors.numpy import save_file

from dia2.adapter import drift
from dia2.adapter.findings.shift import by_loudness
from dia2.adapter.layout import EAR_FILE
from dia2.adapter.prefix_words import prefix_words
from dia2.adapter.trace import Dia2Trace
from dia2.inspect import record, sample
from dia2.inspect.trace.levels import measure
from dia2.inspect.views.explorer.payload import payload

from ..support.reference import engine
from ..support.traces import recorded_quickly, with_manifest
from .test_explorer import opened

RATE = 12.5
LATE = np.arange(-8, 9, dtype=np.int32)
SOUNDS = (0.4 + np.random.default_rng(3).uniform(0.28, 0.5, 20).cumsum()).tolist()  # seconds, out of step on purpose
LENGTH = 0.22  # seconds of a word
END = 8.96
FRAMES = round(END * RATE)
HALF = 10  # the words from here on are given late
SHIFT = 0.4


def given(late: float = SHIFT) -> list[dict[str, Any]]:
    """The words, from the middle one on late."""
    at = [start + (late if i >= HALF else 0) for i, start in enumerate(SOUNDS)]
    kept = [(i, start) for i, start in enumerate(at) if i >= HALF or start < at[HALF]]
    ends = [min(start + LENGTH, after) for (_, start), (_, after) in zip(kept, [*kept[1:], (0, END)], strict=True)]
    rows = [
        {"text": "abcdefghijklmnopqrst"[i], "start": round(start, 3), "end": round(end, 3)}
        for (i, start), end in zip(kept, ends, strict=True)
    ]
    return [row for row in rows if row["end"] < END]


def speech(path: Path) -> Path:
    """A recording that sounds where `SOUNDS` says."""
    rng = np.random.default_rng(5)
    samples = rng.normal(0, 0.0005, round(END * 24_000))
    for start in SOUNDS:
        begin, end = round(start * 24_000), round((start + LENGTH) * 24_000)
        samples[begin:end] += rng.normal(0, 0.1, len(samples[begin:end]))
    soundfile.write(path, samples, 24_000)
    return path


def clone(folder: Path, words: object, name: str = "run") -> Dia2Trace:
    """A run that goes on from it and keeps nothing of the ear, nor the recording: its loudness is all that is left."""
    with record(folder / name, doctor=False, prefix_sound=False):
        engine("tiny3").generate(
            "[S1] Hi.", seed=1, prefix_speaker_1=speech(folder / "voice.wav"), prefix_words_1=words
        )
    return Dia2Trace(folder / name)


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Dia2Trace:
    """Words that are late from the middle on, told by loudness."""
    return clone(tmp_path_factory.mktemp("loud"), given())


def heard(trace: Dia2Trace, folder: Path, true: np.ndarray | None) -> Dia2Trace:
    """A copy that keeps what an ear heard: words that come `true` [frames] frames late; `None`: it could not follow."""
    nats = np.full((len(LATE), trace.run.prefix_frames), 8.0, np.float32)
    if true is not None:
        nats[np.searchsorted(LATE, true), np.arange(len(true))] = 2.0
    path = folder / "heard"
    path.mkdir()
    for file in trace.path.iterdir():
        os.link(file, path / file.name)
    save_file({"late": LATE, "nats": nats, "given": nats[len(LATE) // 2]}, path / EAR_FILE)
    return Dia2Trace(path)


def shown(trace: Dia2Trace) -> dict[str, Any]:
    header, _ = opened(payload(trace))
    found: dict[str, Any] = header["fit"]
    return found


def test_by_loudness_the_drift_is_told_where_it_can_be(quiet: Dia2Trace) -> None:
    found = shown(quiet)
    (recording,) = found["recordings"]
    (finding,) = [one for one in quiet.findings() if one.kind == "prefix-shift"]
    assert recording["told"] == finding.text
    assert recording["by"] == "by loudness"
    assert "keeps nothing of the checkpoint’s ear, so loudness tells" in recording["why"]
    assert [word_["drift"] for word_ in recording["words"]][-5:] == [SHIFT] * 5
    windows = found["windows"]
    assert windows[0][0] == 2, "a moment stands two frames after its sound"
    assert windows[-1][1] == FRAMES + 2
    assert all(one[1] == other[0] for one, other in pairwise(windows))
    told = [(window[0], window[2]) for window in windows if window[2] is not None]
    assert any(late == pytest.approx(SHIFT, abs=0.17) for at, late in told if at > 60)
    assert all(abs(late) < 0.24 for at, late in told if at < 35)
    curve = recording["curves"][-1]
    assert recording["late"][curve["at"]] == SHIFT
    assert curve["told"].startswith("0.40 s late: +")
    assert curve["told"].endswith("% of frames")


def test_by_ear_every_window_is_known(quiet: Dia2Trace, tmp_path: Path) -> None:
    split = int(SOUNDS[HALF] * RATE)
    true = np.where(np.arange(quiet.run.prefix_frames) < split, 0, 5)
    trace = heard(quiet, tmp_path, true)
    assert trace.ear is not None
    found = shown(trace)
    (recording,) = found["recordings"]
    assert recording["by"] == "by ear"
    assert recording["told"].startswith("From “")
    assert [word_["drift"] for word_ in recording["words"]] == [0.0] * (len(recording["words"]) - 10) + [SHIFT] * 10
    assert [window[0] for window in found["windows"]][:4] == [2, 22, 30, 38], "in the middle of 32 frames stand 8"
    for begin, end, late in found["windows"]:
        middle = (begin + end) / 2 - 2
        if abs(middle - split) > 8:
            assert late == (SHIFT if middle > split else 0.0)
    assert [(curve["drift"], curve["told"]) for curve in recording["curves"]] == [
        (0.0, "where they sound"),
        (SHIFT, "0.40 s late: +6 nats a frame"),
    ]
    assert recording["curves"][1]["words"] == f"{recording['words'][-10]['text']} … t"
    (track,) = [track for track in opened(payload(trace))[0]["tracks"] if track["name"] == "drift"]
    assert track["lenses"] == ["voice"]
    assert "told by ear." in track["told"]


def test_an_ear_that_cannot_follow_leaves_it_to_loudness(quiet: Dia2Trace, tmp_path: Path) -> None:
    trace = heard(quiet, tmp_path, None)
    assert trace.ear is not None
    assert trace.ear.deaf == [1]
    deaf, alone = shown(trace), shown(quiet)
    assert deaf["recordings"][0]["why"].startswith("The checkpoint’s ear cannot follow this voice, so loudness")
    assert deaf["windows"] == alone["windows"]
    assert deaf["recordings"][0]["curves"] == alone["recordings"][0]["curves"]


def test_what_no_finding_tells_is_no_drift(tmp_path: Path) -> None:
    """Loudness alone takes words of which the first ones are missing for late ones."""
    trace = clone(tmp_path, [row for row in given(late=0) if row["start"] > 3.5])
    prefix, spoken = trace.prefix, trace.run.spoken
    assert prefix is not None
    spans = np.array([[one.start, one.end] for one in spoken]) * RATE
    assert by_loudness(measure(prefix.rms), spans, RATE) != []
    assert "prefix-shift" not in [one.kind for one in trace.findings()]
    (recording,) = shown(trace)["recordings"]
    assert not any(row["drift"] for row in recording["words"])
    assert recording["mended"] is None


def test_what_is_copied_mends_the_run(quiet: Dia2Trace, tmp_path: Path) -> None:
    (recording,) = shown(quiet)["recordings"]
    assert "--prefix-words-1" in recording["mended"]["told"]
    words = tmp_path / "words.json"
    words.write_text(recording["mended"]["text"], encoding="utf-8")
    again = clone(tmp_path, words)
    assert [word_.text for word_ in again.run.spoken] == [word_["text"] for word_ in recording["words"]]
    for spoken, row in zip(again.run.spoken, recording["words"], strict=True):
        assert spoken.start == pytest.approx(row["asked"] - (row["drift"] or 0.0), abs=2e-3)
    assert [one.kind for one in again.findings() if one.kind.startswith("prefix")] == []
    assert shown(again)["recordings"][0]["mended"] is None, "there is nothing to mend"


def test_a_word_in_the_table_has_its_call_and_its_times(quiet: Dia2Trace) -> None:
    (recording,) = shown(quiet)["recordings"]
    taken = np.flatnonzero(quiet.column("consumed"))
    for i, (row, spoken) in enumerate(zip(recording["words"], quiet.run.spoken, strict=True)):
        assert (row["text"], row["asked"]) == (spoken.text, spoken.start)
        assert row["taken"] == row["call"] == taken[i]


def test_a_word_that_was_never_taken_leads_to_where_it_was_asked_for(
    quiet: Dia2Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [replace(one, taken_call=None, step=one.step + 10_000 * (one.index > 3)) for one in prefix_words(quiet)]
    monkeypatch.setattr(drift, "prefix_words", lambda _: words)
    (recording,) = shown(quiet)["recordings"]
    assert {row["taken"] for row in recording["words"]} == {None}
    assert [row["call"] for row in recording["words"]][:4] == [one.step for one in words[:4]]
    assert {row["call"] for row in recording["words"]} >= {len(quiet) - 1}, "there is no call beyond the last"


def test_two_recordings_stand_one_after_the_other() -> None:
    trace = Dia2Trace(recorded_quickly())
    found = shown(trace)
    assert [recording["speaker"] for recording in found["recordings"]] == [1, 2]
    assert [len(recording["words"]) for recording in found["recordings"]] == [3, 2]
    assert all("too few words for the checkpoint’s ear" in recording["why"] for recording in found["recordings"])
    edges = [window[0] for window in found["windows"]] + [found["windows"][-1][1]]
    assert edges[0] == 2
    assert 22 in edges
    assert edges[-1] == 35
    assert edges == sorted(edges)


def test_a_run_without_a_prefix_has_none() -> None:
    header, _ = opened(payload(sample()))
    assert header.get("fit") is None
    assert "drift" not in [track["name"] for track in header["tracks"]]


def test_nothing_of_it_is_left_without_the_voice(quiet: Dia2Trace, tmp_path: Path) -> None:
    assert opened(payload(quiet, voice=False))[0]["fit"] is None
    redacted = quiet.redact(tmp_path / "no-voice", voice=True)
    header, _ = opened(payload(redacted))
    assert header.get("fit") is None
    assert "drift" not in [track["name"] for track in header["tracks"]]


def test_without_the_text_the_curves_stay_as_the_ears_file_does(quiet: Dia2Trace, tmp_path: Path) -> None:
    found, whole = shown(quiet.redact(tmp_path / "no-text", text=True)), shown(quiet)
    assert found["windows"] == whole["windows"]
    (recording,) = found["recordings"]
    assert {row["text"] for row in recording["words"]} == {"redacted"}
    assert recording["mended"] is None, "a list of nothing but “redacted” mends nothing"


def test_a_recording_whose_sound_is_not_known_cannot_be_told(quiet: Dia2Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = quiet.prefix
    assert prefix is not None
    trace = Dia2Trace(quiet.path)
    monkeypatch.setattr(Dia2Trace, "prefix", replace(prefix, rms=np.full_like(prefix.rms, np.nan)))
    (recording,) = shown(trace)["recordings"]
    assert recording["why"] == "Nothing tells of the recording’s sound: neither the checkpoint’s ear, nor loudness."
    assert recording["told"].endswith("cannot tell.")
    assert recording["curves"] == []
    assert {row["drift"] for row in recording["words"]} == {None}
    assert shown(trace)["windows"] == [[2, FRAMES + 2, None]]


def test_where_the_ear_is_damaged_the_rest_can_be_seen(quiet: Dia2Trace, tmp_path: Path) -> None:
    trace = heard(quiet, tmp_path, None)
    (trace.path / EAR_FILE).write_bytes(b"no tensors")
    header, _ = opened(payload(Dia2Trace(trace.path)))
    assert header.get("fit") is None
    assert EAR_FILE in header["verdict"]["text"]


def test_a_hostile_text_is_shown_as_text(quiet: Dia2Trace, tmp_path: Path) -> None:
    manifest = json.loads((quiet.path / "manifest.json").read_text(encoding="utf-8"))
    for entry in manifest["run"]["entries"]:
        entry[0] = "\x1b[31m\u202e" + "x" * 1500
    hostile = Dia2Trace(with_manifest(quiet.path, tmp_path, run=manifest["run"]))
    (recording,) = shown(hostile)["recordings"]
    said = [row["text"] for row in recording["words"]] + [curve["words"] for curve in recording["curves"]]
    assert all(text.isprintable() and len(text) <= 200 for text in said)
    assert recording["told"].startswith("From “")
    assert recording["told"].isprintable()
    assert len(recording["told"]) <= 1000
    assert "\x1b" not in recording["mended"]["text"]
