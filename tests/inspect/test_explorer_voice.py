"""Whose voice an explorer holds: recordings with their sound, said in words; or nothing that they can be made of."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from dia2.adapter.trace import Dia2Trace
from dia2.cli import main
from dia2.inspect import load
from dia2.inspect.schema.view import peaks
from dia2.inspect.views.explorer import to_html
from dia2.inspect.views.explorer.payload import payload
from dia2.inspect.views.explorer.picture import picture

from ..support.reference import Case, engine
from ..support.traces import copied, recorded_dia, recorded_quickly, with_manifest
from .test_explorer import opened

CONTAINS = "contains the recording of speaker 1 (1.6 s) and the recording of speaker 2 (1.0 s)"
FRAME = 1_920  # samples


@pytest.fixture(scope="module")
def trace() -> Dia2Trace:
    return Dia2Trace(recorded_quickly())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Dia2Trace:
    """A run whose sound holds the prefix."""
    case, path = Case("tiny3", "prefix2_include"), tmp_path_factory.mktemp("whole") / "run.dia2trace"
    engine("tiny3").generate("[S1] Hi you. [S2] No.", case.config(seed=1), trace=path)
    return Dia2Trace(path)


def heard(data: np.ndarray) -> np.ndarray:
    samples, rate = soundfile.read(io.BytesIO(data.tobytes()), dtype="float32")
    assert rate == 24_000
    return np.asarray(samples)


def test_the_payload_holds_the_recordings(trace: Dia2Trace) -> None:
    header, columns = opened(payload(trace))
    assert header["contains"] == CONTAINS
    assert header["recordings"] == [
        {
            "speaker": 1,
            "first": 0,
            "calls": 20,
            "seconds": 1.6,
            "rate": 24_000,
            "column": "sound_recording_1",
            "name": "spk1.wav",
        },
        {
            "speaker": 2,
            "first": 20,
            "calls": 13,
            "seconds": 1.04,
            "rate": 24_000,
            "column": "sound_recording_2",
            "name": "spk2.wav",
        },
    ]
    for recording in trace.recordings:
        outline = columns[f"peaks_recording_{recording.speaker}"]
        assert outline.dtype == np.int8
        np.testing.assert_array_equal(outline, peaks(recording.samples, 24_000))
        sound = heard(columns[f"sound_recording_{recording.speaker}"])[: recording.length]
        assert len(sound) == recording.length
        assert np.corrcoef(sound, recording.samples)[0, 1] > 0.95


def test_a_trace_without_recordings_says_so(trace: Dia2Trace, tmp_path: Path) -> None:
    copy = trace.redact(tmp_path / "copy", voice=True)
    header, columns = opened(payload(copy))
    assert (header["contains"], header["recordings"]) == ("", [])
    assert not any("recording" in name for name in columns)
    assert "contains the recording" not in to_html(copy, tmp_path / "run.html").read_text(encoding="utf-8")


def test_a_recording_without_a_name_is_called_by_its_speaker(trace: Dia2Trace, tmp_path: Path) -> None:
    header, _ = opened(payload(trace.redact(tmp_path / "copy", text=True)))
    assert [recording["name"] for recording in header["recordings"]] == ["recording 1", "recording 2"]


def test_a_hostile_name_is_shown_as_text(trace: Dia2Trace, tmp_path: Path) -> None:
    config = json.loads((trace.path / "manifest.json").read_text(encoding="utf-8"))
    config["run"]["config"]["prefix"]["speaker_1"] = "a/\x1b[31m<b>\u202e" + "x" * 500
    header, _ = opened(payload(Dia2Trace(with_manifest(trace.path, tmp_path, **config))))
    name = header["recordings"][0]["name"]
    assert name.isprintable()
    assert len(name) == 200


@pytest.mark.parametrize("run", ["trace", "whole"])
def test_without_voice_nothing_of_the_prefix_is_left(run: str, request: pytest.FixtureRequest) -> None:
    made: Dia2Trace = request.getfixturevalue(run)
    header, columns = opened(payload(made, voice=False))
    full, everything = opened(payload(made))
    assert (header["contains"], header["recordings"]) == ("", [])
    assert set(everything) - set(columns) == {
        f"{kind}_recording_{n}" for kind in ("sound", "peaks", "loudness") for n in (1, 2)
    }
    differ = {name for name in columns if not np.array_equal(columns[name], everything[name], equal_nan=True)}
    assert differ == {"grid", "sound_0", "peaks", "loudness"}
    grid, was = columns["grid"], everything["grid"]
    assert made.run.prefix_frames == 33
    assert (was[:33] >= 0).any()
    assert not (grid[:33] >= 0).any()
    assert set(np.unique(grid[:33])) == {-3, -2}  # pads before the delays tell nothing
    np.testing.assert_array_equal(grid[33:], was[33:])
    assert header["grid"]["specials"]["-3"] == "a code that was left out"
    same = {name for name in full if full[name] != header[name]}
    assert same == {"contains", "facts", "recordings", "grid", "fit"}
    assert (bool(full["fit"]), header["fit"]) == (True, None)  # how likely the sound is tells of the voice
    assert full["facts"] == [*header["facts"], CONTAINS]


@pytest.mark.parametrize(("run", "frames"), [("trace", 2), ("whole", 33)])
def test_without_voice_the_sound_is_silent_where_it_holds_the_prefix(
    run: str, frames: int, request: pytest.FixtureRequest
) -> None:
    made: Dia2Trace = request.getfixturevalue(run)
    assert made.given_samples() == frames * FRAME
    _, full = opened(payload(made))
    _, columns = opened(payload(made, voice=False))
    given = frames * FRAME
    silent, loud = heard(columns["sound_0"]), heard(full["sound_0"])
    assert len(silent) == len(loud)
    before, after = 1_200, 4_800  # samples by which MP3 smears what it keeps, and needs to sound alike again
    assert np.abs(silent[: given - before]).max() < 1e-3 < 0.01 < np.abs(loud[: given - before]).max()
    assert np.abs(silent[given + after :] - loud[given + after :]).max() < 0.05 * np.abs(loud).max()
    bins = given // 240
    assert not columns["peaks"][:bins].any()
    np.testing.assert_array_equal(columns["peaks"][bins:], full["peaks"][bins:])
    assert full["peaks"][:bins].any()


def test_codebooks_apart_are_silent_there_too(whole: Dia2Trace) -> None:
    tts = engine("tiny3")
    _, columns = opened(payload(whole, tts, [[0]], voice=False))
    _, full = opened(payload(whole, tts, [[0]]))
    assert np.abs(heard(columns["sound_1"])[: 32 * FRAME]).max() < 1e-3
    assert np.abs(heard(full["sound_1"])[: 32 * FRAME]).max() > 0.01
    explorer = whole.explore(tts=tts, voice=False)
    assert explorer._hear([0]).data == columns["sound_1"].tobytes()


def test_the_picture_of_a_cell_shows_nothing_of_it_either(whole: Dia2Trace, tmp_path: Path) -> None:
    for trace in (whole, Dia2Trace(with_manifest(whole.path, tmp_path, audio=None))):  # its sound, its grid
        drawn = [picture(trace, voice=voice) for voice in (True, False)]
        assert None not in drawn
        assert drawn[0] != drawn[1]
        kept = trace.explore(voice=False).kept()
        assert kept.picture == drawn[1]


def test_without_voice_a_prompt_of_dia_has_no_codes() -> None:
    dia = load(recorded_dia())
    header, columns = opened(payload(dia, voice=False))
    _, full = opened(payload(dia))
    assert (header["contains"], header["recordings"]) == ("", [])
    edge = np.array(header["grid"]["edge"])
    given = np.arange(len(full["grid"]))[:, None] < edge
    codes = full["grid"] < header["grid"]["codes"]
    assert (given & codes & (full["grid"] >= 0)).sum() > 20
    np.testing.assert_array_equal(columns["grid"] == -3, given & codes & (full["grid"] >= 0))
    np.testing.assert_array_equal(columns["grid"][~given], full["grid"][~given])
    assert {name for name in full if not np.array_equal(full[name], columns[name], equal_nan=True)} == {"grid"}
    assert header["grid"]["specials"]["-3"] == "a code that was left out"
    assert "PAD" in header["grid"]["specials"].values()


def visible(page: Path) -> str:
    """What stands in the page outside of scripts and styles."""
    text = page.read_text(encoding="utf-8")
    return text[text.index("<body>") : text.index("<main")]


def views_in(page: Path) -> list[dict[str, Any]]:
    """The headers of what a page holds."""
    found = re.findall(r'<script type="application/dia2view">(.*?)</script>', page.read_text(encoding="utf-8"))
    return [opened(base64.b64decode(packed))[0] for packed in found]


def test_the_page_says_what_it_contains(trace: Dia2Trace, whole: Dia2Trace, tmp_path: Path) -> None:
    page = to_html(trace, tmp_path / "run.html")
    assert visible(page) == f'<body>\n<header id="told">This page {CONTAINS}.</header>\n'
    assert visible(to_html(trace, tmp_path / "no.html", voice=False)) == "<body>\n"
    assert "This page contains" not in (tmp_path / "no.html").read_text(encoding="utf-8")
    hostile = copied(tmp_path / "a<b>&.dia2trace", recorded_quickly)
    two = to_html(Dia2Trace(hostile), tmp_path / "two.html", other=whole.redact(tmp_path / "copy", voice=True))
    assert visible(two) == f'<body>\n<header id="told">a&lt;b&gt;&amp;.dia2trace {CONTAINS}</header>\n'
    neither = to_html(trace, tmp_path / "x.html", other=whole, voice=False)
    assert visible(neither) == "<body>\n"
    for page_, counts in ((page, [2]), (tmp_path / "no.html", [0]), (two, [2, 0]), (neither, [0, 0])):
        assert [len(view["recordings"]) for view in views_in(page_)] == counts


def test_the_command_says_it_too(trace: Dia2Trace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["trace", "html", str(trace.path), "-o", str(tmp_path / "run.html")]
    assert main(command) == 0
    assert capsys.readouterr().out == f"{tmp_path}/run.html\n{CONTAINS}\n"
    assert main([*command, "--other", str(trace.path)]) == 0
    assert capsys.readouterr().out == (f"{tmp_path}/run.html\nrun.dia2trace {CONTAINS}; run.dia2trace {CONTAINS}\n")
    assert [len(view["recordings"]) for view in views_in(tmp_path / "run.html")] == [2, 2]
    assert main([*command, "--no-voice"]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/run.html\n"
    assert [view["recordings"] for view in views_in(tmp_path / "run.html")] == [[]]
    for flags, told in (([], CONTAINS), (["--no-voice"], "")):
        assert main([*command, "--json", *flags]) == 0
        assert json.loads(capsys.readouterr().out)["contains"] == told


def test_the_widget_says_it_where_none_is_shown(trace: Dia2Trace) -> None:
    calls = f"{len(trace)} calls"
    assert repr(trace.explore()) == f"<Explorer of run.dia2trace: {calls}, complete; {CONTAINS}>"
    explorer = trace.explore(voice=False)
    assert repr(explorer) == f"<Explorer of run.dia2trace: {calls}, complete>"
    assert opened(explorer._views[0])[0]["recordings"] == []
    both = trace.explore(trace, voice=False)
    assert [opened(view)[0]["recordings"] for view in both._views] == [[], []]
