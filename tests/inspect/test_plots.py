"""Every figure draws what the trace says: its artists are read back and compared with it."""

from __future__ import annotations

import io
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.text import Text

from dia2 import Dia2, SamplingConfig
from dia2.adapter.pictures import placed_words, spoken_slots
from dia2.adapter.replay import Replay
from dia2.adapter.trace import Dia2Trace
from dia2.common.errors import Dia2Error, TraceError, UsageError
from dia2.inspect import plots
from dia2.inspect.views.plots.page import extent, fit
from dia2.runtime.edits import ReplaceToken
from dia2.runtime.state_machine import Entry
from training.figures import best_head

from ..support.reference import Case, engine
from .test_console_trace import STEERING, changed, hostile, recorded
from .test_console_trace import manifest as raw_manifest

CASE = Case("tiny8", "prefix2")
EDITED = 60  # codebook 3 of this call is replaced by a code that guidance had removed
ATTACKS = (
    "$\\frac{",
    "$x^2$ \\unknown{",
    "\x1b[31m\u202ered\r\n",
    "W" * 100_000,
    "a" + "\u0301" * 5_000,
    "<b>&amp;",
    "_^",
)

Draw = Callable[[Dia2Trace], Figure]
FIGURES: dict[str, Draw] = {
    "waveform": plots.waveform,
    "surprise": plots.surprise,
    "surprise of two": lambda trace: plots.surprise(trace, trace),
    "part of the waveform": lambda trace: plots.waveform(trace, 1.0, 2.5),
    "streams": plots.streams,
    "one call": lambda trace: plots.streams(trace, 40, 40),
    "grid": plots.grid,
    "columns": lambda trace: plots.grid(trace, 30, 50),
    "growth": plots.kv_growth,
    "action": lambda trace: plots.candidates(trace, 57),
    "cb0": lambda trace: plots.candidates(trace, 57, "cb0"),
    "attention": lambda trace: plots.attention(trace, engine("tiny8"), 1, 2),
    "some calls": lambda trace: plots.attention(trace, engine("tiny8"), 0, 0, first=40, last=60),
}


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Dia2Trace:
    """Two voices whose prefix is in the audio, draws that guidance narrows, and an edit against it."""
    path = tmp_path_factory.mktemp("plots") / "run.dia2trace"
    config = CASE.config(seed=1, cfg_filter_k=5, audio=SamplingConfig(temperature=2.0, top_k=50))
    assert config.prefix is not None
    config = replace(config, prefix=replace(config.prefix, include_audio=True))
    edit = ReplaceToken(EDITED, 17, codebook=3)
    engine("tiny8").generate(CASE.expected["script"], config, trace=path, edits=[edit])
    return Dia2Trace(path)


def named(figure: Figure, name: str) -> list[Any]:
    """The artists that go by `name`."""
    return [artist for artist in figure.findobj() if artist.get_gid() == name]


def boxes(figure: Figure, name: str) -> list[tuple[float, float, float, float]]:
    """(left, bottom, right, top) of every polygon of that name, in data coordinates, from left to right."""
    collections = named(figure, name)
    assert all(isinstance(found, PolyCollection) for found in collections)
    extents = [path.get_extents().extents for found in collections for path in found.get_paths()]
    return sorted({tuple(np.round(part, 6).tolist()) for part in extents})


def spans(figure: Figure, name: str) -> list[tuple[float, float]]:
    return [(left, right) for left, _, right, _ in boxes(figure, name)]


def words(figure: Figure) -> list[Text]:
    return named(figure, "word")


def drawn(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=60)
    return file.getvalue()


# Of all figures


@pytest.fixture(scope="module")
def figures(trace: Dia2Trace) -> dict[str, Figure]:
    """All of one trace, drawn."""
    made = {name: draw(trace) for name, draw in FIGURES.items()}
    assert all(drawn(figure).startswith(b"\x89PNG") for figure in made.values())
    return made


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_of_a_figure_is_cut_off(name: str, figures: dict[str, Figure]) -> None:
    figure = figures[name]
    assert isinstance(figure, Figure)
    assert figure.get_size_inches()[0] == 7.0
    assert to_hex(figure.get_facecolor()) == "#ffffff"
    frame = figure.bbox.padded(1.0)
    texts = [text for text in figure.findobj(Text) if is_shown(text)]
    for artist in (*figure.legends, *texts):
        extents = artist.get_window_extent()
        assert frame.x0 <= extents.x0 <= extents.x1 <= frame.x1, artist
        assert frame.y0 <= extents.y0 <= extents.y1 <= frame.y1, artist


def is_shown(text: Text) -> bool:
    """It has letters, and is no tick label beyond its axis, which matplotlib makes and does not draw."""
    axes = text.axes
    if not text.get_text() or not text.get_visible() or axes is None:
        return False
    for axis, limits, place in ((axes.xaxis, axes.get_xlim(), 0), (axes.yaxis, axes.get_ylim(), 1)):
        if text in axis.get_ticklabels():
            return min(limits) <= text.get_position()[place] <= max(limits)
    return True


@pytest.mark.parametrize("name", FIGURES)
def test_a_heading_does_not_run_into_its_numbers(name: str, figures: dict[str, Figure]) -> None:
    texts = {text.get_text(): text for text in figures[name].findobj(Text)}
    title, numbers = plots.describe(figures[name]).split(": ")
    assert texts[title].get_window_extent().x1 + 5 < texts[numbers].get_window_extent().x0


def test_figures_are_described_in_one_line(figures: dict[str, Figure], trace: Dia2Trace) -> None:
    told = {name: plots.describe(figure) for name, figure in figures.items()}
    calls, columns = len(trace), trace.grid.shape[1]
    every = f"of 0 … {calls - 1}"
    assert told["streams"].startswith(f"Text streams: calls 0 … {calls - 1} {every} · 14 words taken")
    assert told["one call"] == f"Text streams: calls 40 … 40 {every} · 0 words taken · 0 actions overruled"
    size = f"{columns - 6} frames · prefix 33 frames"
    assert told["grid"] == f"Delayed grid: 8 codebooks · {columns} columns · {size}"
    assert told["columns"] == f"Delayed grid: 8 codebooks · columns 30 … 50 of {columns} · {size}"
    assert all("\n" not in line for line in told.values())


def test_matplotlib_is_imported_by_the_first_figure_and_pyplot_never() -> None:
    code = f"""
import sys
from dia2.inspect import load, plots
assert "matplotlib" not in sys.modules
trace = load({str(recorded())!r})
for draw in (plots.waveform, plots.grid):
    assert draw(trace)._repr_png_().startswith(b"\\x89PNG")
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2], timeout=200)


def test_without_matplotlib_it_says_what_to_install(trace: Dia2Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "dia2.inspect.views.plots.figure", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for name in ("waveform", "streams", "grid", "growth", "action", "attention"):
        with pytest.raises(Dia2Error, match="pip install matplotlib"):
            FIGURES[name](trace)


def test_a_trace_without_calls_is_told(tmp_path: Path) -> None:
    path = changed(tmp_path, run=None, result=None, status="failed", error="ValueError: no", calls=0, audio=None)
    for file in [*path.glob("frames-*"), path / "audio.flac", path / "prefix.safetensors"]:
        file.unlink()
    for draw in FIGURES.values():
        with pytest.raises(TraceError):
            draw(Dia2Trace.load(path))


def test_what_was_redacted_is_not_drawn(trace: Dia2Trace, tmp_path: Path) -> None:
    silent, mute = trace.redact(tmp_path / "voice", voice=True), trace.redact(tmp_path / "text", text=True)
    for name in ("waveform", "grid", "columns", "cb0", "attention"):
        with pytest.raises(TraceError):
            FIGURES[name](silent)
    with pytest.raises(TraceError):
        FIGURES["attention"](mute)
    for name in ("streams", "growth", "action"):
        drawn(FIGURES[name](silent))
    for name in ("waveform", "streams", "grid", "growth", "action", "cb0"):
        figure = FIGURES[name](mute)
        assert all("redacted…".startswith(word.get_text().strip("…")) for word in words(figure))


@pytest.mark.parametrize("name", ["waveform", pytest.param("streams", marks=pytest.mark.slow), "cb0", "attention"])
def test_no_word_is_markup_and_none_steers(name: str, tmp_path: Path) -> None:
    run = raw_manifest()["run"]
    for i, entry in enumerate(run["entries"]):
        entry[0] = ATTACKS[i % len(ATTACKS)] if entry[1] else ""
    figure = FIGURES[name](Dia2Trace.load(changed(tmp_path, run=run)))
    drawn(figure)
    for text in figure.findobj(Text):
        assert len(text.get_text()) <= 150
        assert not any(unicodedata.category(char) in STEERING for char in text.get_text() if char != "\n")
    shown = words(figure)
    assert bool(shown) == (name != "cb0")
    for word in shown:
        assert not word.get_parse_math()
        assert not word.get_usetex()
        assert word.get_clip_on()
        assert word.get_clip_box() is not None, "no letter is drawn outside of its box"
    if shown:
        assert {"$\\frac{", "_^"} <= {word.get_text() for word in shown}, "shown as they are"


@pytest.mark.parametrize(
    "name", ["waveform", "streams", *(pytest.param(name, marks=pytest.mark.slow) for name in ("grid", "growth", "cb0"))]
)
def test_a_trace_in_which_every_text_is_an_attack_is_drawn(name: str, tmp_path: Path) -> None:
    figure = FIGURES[name](Dia2Trace.load(hostile(tmp_path)))
    drawn(figure)
    texts = "".join(text.get_text() for text in figure.findobj(Text))
    assert not any(char in texts for char in "\x1b\x07\x9b\u202e\u200f\r")


def test_text_is_cut_to_its_room() -> None:
    assert fit("morning", 100) == "morning"
    assert fit("morning", 20) == "mor…"
    assert fit("morning", 9) == fit("morning", 0) == ""
    assert fit("I", 3) == "I"
    assert fit("a\x1b\nb", 100) == "a��b"
    assert len(fit("W" * 100_000, 60)) < 12
    assert extent("語") > extent("n") > extent("i")


# Waveform


def test_the_waveform_reaches_from_the_lowest_to_the_highest_sample(trace: Dia2Trace) -> None:
    assert trace.audio is not None
    samples, rate = trace.audio
    peak = np.abs(samples).max()
    figure = plots.waveform(trace)
    areas = boxes(figure, "waveform")
    assert max(top for *_, top in areas) == pytest.approx(samples.max() / peak, abs=1e-5)
    assert min(bottom for _, bottom, *_ in areas) == pytest.approx(samples.min() / peak, abs=1e-5)
    limits = [axes.get_xlim() for axes in figure.axes]
    assert limits[0][0] == 0
    assert limits[-1][1] == pytest.approx(len(samples) / rate)
    assert all(before[1] == pytest.approx(after[0]) for before, after in pairwise(limits))
    assert f"peak {peak:.2f}" in plots.describe(figure)


def test_a_word_lies_from_its_time_to_the_next_words(trace: Dia2Trace) -> None:
    assert trace.audio is not None
    figure, heard = plots.waveform(trace), [word for word in trace.words if word.seconds is not None]
    ends = [*(word.seconds for word in heard[1:]), len(trace.audio[0]) / trace.audio[1]]
    assert len(heard) == 14
    for speaker in (1, 2):
        for prefix, name in ((False, f"words.S{speaker}"), (True, f"words.S{speaker}.prefix")):
            expected = [
                (word.seconds, end)
                for word, end in zip(heard, ends, strict=True)
                if word.speaker == speaker and word.prefix == prefix
            ]
            assert expected, "the run has all four"
            assert np.allclose(spans(figure, name), np.array(expected, dtype=float))
            for found in named(figure, name):
                assert (to_hex(found.get_facecolor()[0]) == "#ffffff") == prefix
                assert to_hex(found.get_edgecolor()[0]) == {1: "#0072b2", 2: "#cc79a7"}[speaker]
    shown = {word.get_text(): word.get_position()[0] for word in words(figure) if not word.get_text().startswith("…")}
    for word in heard:
        assert word.seconds is not None
        assert shown[word.text] == pytest.approx(word.seconds, abs=0.05) or word.text == "Hello", "said twice"


def test_only_what_was_asked_for_is_drawn(trace: Dia2Trace) -> None:
    figure = plots.waveform(trace, 1.0, 2.5)
    assert [axes.get_xlim() for axes in figure.axes] == [(1.0, 2.5)]
    heard = [word.seconds for word in trace.words if word.seconds is not None and 1.0 <= word.seconds < 2.5]
    starts = [left for speaker in (1, 2) for left, _ in spans(figure, f"words.S{speaker}.prefix") if left >= 1.0]
    assert sorted(starts) == pytest.approx(heard)
    assert "1.00 … 2.50 s of" in plots.describe(figure)
    drawn(plots.waveform(trace, 1.0, 1.0 + 1e-6))


def test_seconds_that_are_not_there_are_told(trace: Dia2Trace, tmp_path: Path) -> None:
    for start, end in ((-1.0, None), (99.0, None), (2.0, 2.0), (float("nan"), None), (3.0, 1.0)):
        with pytest.raises(UsageError, match="no sound from"):
            plots.waveform(trace, start, end)
    with pytest.raises(TraceError, match="no audio"):
        plots.waveform(Dia2Trace.load(changed(tmp_path, audio=None)))


def test_a_run_without_words_is_drawn_too(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = Dia2Trace.load(recorded())
    monkeypatch.setattr(trace, "timed_words", lambda script: [])
    monkeypatch.setattr(trace, "sound", lambda script: (np.zeros(24_000, dtype=np.float32), 24_000))
    figure = plots.waveform(trace)
    drawn(figure)
    assert plots.describe(figure) == "Waveform: 1.00 s at 24 kHz · peak 0.00 · 0 words"


# Streams


def test_an_action_is_filled_outlined_or_pale(trace: Dia2Trace) -> None:
    trace = Dia2Trace.load(recorded())
    figure, ids = plots.streams(trace), trace.model.tokens
    calls = {name: [round((a + b) / 2) for a, b in spans(figure, f"action.{name}")] for name in ACTIONS}
    asked = np.isin(trace.actions, [ids.action_new_word]) & (trace.column("phase") == 1)
    assert sorted(calls["new_word"] + calls["overruled"]) == np.flatnonzero(asked).tolist()
    given = (trace.actions == ids.new_word) & (trace.column("phase") == 0)
    assert sorted(calls["given"] + calls["swallowed"]) == np.flatnonzero(given).tolist() == [4, 12, 19, 20, 27]
    assert calls["swallowed"] == [20], "where the doctor finds it"
    taken = [word.call for word in trace.words]
    assert set(taken) <= {*calls["new_word"], *calls["given"], *calls["imposed"]}
    assert not set(taken) & {*calls["overruled"], *calls["swallowed"], *calls["pad"]}
    assert sorted(call for part in calls.values() for call in part) == list(range(len(trace)))
    for name, filled, edge in ACTIONS_LOOK:
        for found in named(figure, f"action.{name}"):
            assert to_hex(found.get_facecolor()[0]) == filled.lower()
            assert to_hex(found.get_edgecolor()[0]) == edge.lower()


ACTIONS = ("new_word", "overruled", "imposed", "given", "swallowed", "pad")
ACTIONS_LOOK = (
    ("new_word", "#D55E00", "#222222"),
    ("overruled", "#ffffff", "#E69F00"),
    ("given", "#f3c4a5", "#D55E00"),
    ("swallowed", "#ffffff", "#E69F00"),
)


def test_tokens_have_their_speakers_colour_and_their_words(trace: Dia2Trace) -> None:
    figure, ids = plots.streams(trace), trace.model.tokens
    for track, tokens in (("main", trace.main), ("second", trace.second)):
        pads = [round((a + b) / 2) for a, b in spans(figure, f"{track}.pad")]
        assert pads == np.flatnonzero(tokens == ids.pad).tolist()
        assert [round((a + b) / 2) for a, b in spans(figure, f"{track}.new_word")] == np.flatnonzero(
            tokens == ids.new_word
        ).tolist()
    bottom = boxes(figure, "main.pad")[0][1]
    for speaker in (1, 2):
        mine = [round((a + b) / 2) for a, b in spans(figure, f"main.S{speaker}")]
        said = [word for word in trace.words if word.speaker == speaker and word.call is not None]
        assert mine == sorted(call for word in said for call in range(word.call, word.call + len(word.tokens)))  # type: ignore[operator,arg-type]
        for found in named(figure, f"main.S{speaker}"):
            assert to_hex(found.get_facecolor()[0]) == {1: "#0072b2", 2: "#cc79a7"}[speaker]
    places = {
        round(word.get_position()[0] + 0.4): word.get_text() for word in words(figure) if is_beneath(word, bottom)
    }
    for word in trace.words:
        assert places[word.call or 0] == word.text or places[word.call or 0].endswith("…")
    assert sum(places.get(word.call or 0) == word.text for word in trace.words) > 10


def is_beneath(word: Text, bottom: float) -> bool:
    return bottom - 0.6 < word.get_position()[1] < bottom


def test_an_unknown_token_is_no_word(trace: Dia2Trace, tmp_path: Path) -> None:
    path = tmp_path / "run.dia2trace"
    call = trace.warmup_calls + 20
    edit = ReplaceToken(call, 81, stream="main")
    engine("tiny8").generate(CASE.expected["script"], CASE.config(seed=1), trace=path, edits=[edit])
    assert (call - 0.38, call + 0.38) in spans(plots.streams(Dia2Trace.load(path)), "main.other")


def test_warm_up_is_shaded_and_lines_follow_one_another(trace: Dia2Trace) -> None:
    figure = plots.streams(trace)
    limits = [axes.get_xlim() for axes in figure.axes]
    assert [round(after[0] - before[1], 6) for before, after in pairwise(limits)] == [-0.4]
    assert max(limit[1] - limit[0] for limit in limits) <= 64.4
    assert [text.get_text() for text in figure.legends[0].get_texts()][-1] == "warm-up"


@pytest.mark.parametrize(("first", "last"), [(-1, None), (117, None), (0, 500), (9, 3)])
def test_calls_that_are_not_there_are_told(first: int, last: int | None) -> None:
    trace = Dia2Trace.load(recorded())
    with pytest.raises(UsageError, match=r"There is no call|do not exist"):
        plots.streams(trace, first, last)
    with pytest.raises(UsageError, match=r"There is no call|do not exist"):
        plots.attention(trace, engine("tiny8"), 0, 0, first=first, last=last)


# Grid


@pytest.mark.parametrize(("first", "last"), [(None, None), (20, 60), (0, 3)])
def test_the_image_is_the_grid(trace: Dia2Trace, first: int | None, last: int | None) -> None:
    figure = plots.grid(trace, first, last)
    (image,) = figure.axes[0].get_images()
    start, end = first or 0, (last if last is not None else trace.grid.shape[1] - 1) + 1
    codes = image.get_array()
    assert codes is not None
    assert tuple(image.get_extent()) == (start - 0.5, end - 0.5, 7.5, -0.5)
    delays = np.array(trace.model.delays)[:, None]
    empty = np.arange(start, end)[None] < delays
    assert np.array_equal(np.ma.getmaskarray(codes), empty)
    assert np.array_equal(np.ma.getdata(codes)[~empty], trace.grid[:, start:end][~empty])
    pale = np.arange(start, end)[None] < 33  # the prefix's frames; from here on the main loop writes all codebooks
    assert np.array_equal(np.asarray(image.get_alpha()) < 1, pale & ~empty)


def test_pads_after_the_prefix_of_a_run_that_ended_there_are_empty() -> None:
    trace = Dia2Trace.load(recorded())
    trace._columns = {name: column[:33] for name, column in trace._columns.items()}
    (image,) = plots.grid(trace).axes[0].get_images()
    codes = image.get_array()
    assert codes is not None
    column, delay = np.arange(39)[None], np.array(trace.model.delays)[:, None]
    assert np.array_equal(np.ma.getmaskarray(codes), (column < delay) | (column >= delay + 33))


def test_one_frame_is_outlined_along_the_delays(trace: Dia2Trace) -> None:
    for frame, figure in ((40, plots.grid(trace, frame=40)), (30, plots.grid(trace, 30, 40, frame=30))):
        expected = [(frame + d - 0.5, k - 0.5, frame + d + 0.5, k + 0.5) for k, d in enumerate(trace.model.delays)]
        assert boxes(figure, "frame") == sorted(expected)
        assert f"frame {frame}" in [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(boxes(plots.grid(trace), "frame")) == 8
    labels = [label.get_text() for label in plots.grid(trace).axes[0].get_yticklabels()]
    assert labels[:2] == ["cb0  +4", "cb1  +6"]


def test_prefix_and_what_was_written_over_it_are_outlined(trace: Dia2Trace) -> None:
    figure = plots.grid(trace)
    assert boxes(figure, "prefix") == [(3.5, -0.5, 32.5, 7.5)]
    assert boxes(figure, "overwritten") == [(32.5, -0.5, 38.5, 7.5)]
    (path,) = named(figure, "overwritten")[0].get_paths()
    corners = {tuple(corner) for corner in path.vertices.tolist()}
    assert {(36.5, -0.5), (36.5, 0.5), (38.5, 0.5), (38.5, 7.5)} <= corners, "codebook 0 lags by four columns only"


def test_columns_and_frames_that_are_not_there_are_told(trace: Dia2Trace) -> None:
    with pytest.raises(UsageError, match="no column"):
        plots.grid(trace, 1000)
    with pytest.raises(UsageError, match="Columns 9 to 3"):
        plots.grid(trace, 9, 3)
    for frame in (-1, 111, 1000):
        with pytest.raises(UsageError, match=f"no frame {frame} in columns"):
            plots.grid(trace, frame=frame)
    with pytest.raises(UsageError, match="they hold frames 14 … 26"):
        plots.grid(trace, 20, 30, frame=27)


# KV growth


def test_slots_and_positions_are_those_of_the_trace(trace: Dia2Trace) -> None:
    figure, calls = plots.kv_growth(trace), np.arange(len(trace))
    expected = {
        "slots": trace.kv_lengths[:, 0],
        "position": trace.column("position"),
        "depformer": trace.kv_lengths[:, 1],
        "slot - position": (calls >= 33).astype(int),  # one ahead after the prefix
    }
    for name, values in expected.items():
        (line,) = named(figure, name)
        assert np.array_equal(line.get_xdata(), calls)
        assert np.array_equal(line.get_ydata(), values), name
    assert [patch.get_x() + patch.get_width() for patch in named(figure, "warm-up")] == [32.5] * 3
    assert plots.describe(figure).startswith(f"Key/value caches: {len(trace)} slots after {len(trace)} calls")


def test_without_a_prefix_no_warm_up_is_shaded(tmp_path: Path) -> None:
    path = tmp_path / "run.dia2trace"
    engine("tiny8").generate("[S1] Hi.", Case("tiny8", "plain_cfg1").config(seed=1), trace=path)
    trace = Dia2Trace.load(path)
    figure = plots.kv_growth(trace)
    assert not named(figure, "warm-up")
    (line,) = named(figure, "slot - position")
    assert not np.any(line.get_ydata())
    for draw in (plots.waveform, plots.streams, plots.grid):
        drawn(draw(trace))
    guided = plots.candidates(trace, 3, "cb0").axes[1]
    assert guided.get_xlabel() == "guided logit: which may be drawn (cfg 1, all)"


# Candidates


@pytest.mark.parametrize("name", ["action", "cb0", "dep.3"])
def test_candidates_stand_at_their_logits(trace: Dia2Trace, name: str) -> None:
    draw = next(draw for draw in trace.draws(57) if draw.name == name)
    figure = plots.candidates(trace, 57, name)
    for axes, field in zip(figure.axes, ("cond", "guided"), strict=True):
        dots = [line for line in axes.lines if line.get_gid() in ("kept", "removed")]
        at = np.concatenate([np.asarray(dot.get_xydata()) for dot in dots])  # [candidates, 2]
        assert at.tolist() == [[pytest.approx(getattr(c, field)), row] for row, c in enumerate(draw.candidates)]
        assert [dot.get_gid() == "kept" for dot in dots] == [c.kept for c in draw.candidates]
        for dot, candidate in zip(dots, draw.candidates, strict=True):
            assert (to_hex(dot.get_markerfacecolor()) == "#ffffff") == (not candidate.kept)
            assert (dot.get_marker() == "D") == (candidate.token == draw.choice)
        shown = [text.get_text() for text in axes.texts]
        assert shown == [f"{getattr(c, field):.2f}".replace("-", "−") for c in draw.candidates]
    names = (
        {trace.model.tokens.action_new_word: "new_word", trace.model.tokens.action_pad: "pad"}
        if name == "action"
        else {}
    )
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == [names.get(c.token, str(c.token)) for c in draw.candidates]
    kept = sum(candidate.kept for candidate in draw.candidates)
    assert plots.describe(figure) == (
        f"Candidates of {name}: call 57, step 56 · {names.get(draw.choice, draw.choice)} chosen, "
        f"p = {draw.probability:.3f} · {kept} of {len(draw.candidates)} kept"
    )


def test_a_choice_that_guidance_had_removed_is_hollow(trace: Dia2Trace) -> None:
    figure = plots.candidates(trace, EDITED, "dep.3")
    marked = [line for axes in figure.axes for line in axes.lines if line.get_marker() == "D"]
    assert len(marked) == 2
    assert {to_rgba(line.get_markerfacecolor()) for line in marked} == {to_rgba("white")}
    assert "17 chosen, p = 0.000" in plots.describe(figure)


def test_logits_that_are_no_numbers_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = Dia2Trace.load(recorded())
    (action, cb0, *rest) = trace.draws(57, 0)
    odd = [replace(c, cond=float("inf"), guided=float("nan")) for c in cb0.candidates]
    broken = [action, replace(cb0, candidates=odd, probability=float("nan")), *rest]
    monkeypatch.setattr(trace, "draws", lambda call, script: broken)
    figure = plots.candidates(trace, 57, "cb0")
    drawn(figure)
    assert {text.get_text() for text in figure.axes[0].texts} == {"not finite"}


def test_draws_that_are_not_there_are_told(trace: Dia2Trace, tmp_path: Path) -> None:
    for name in ("dep.8", "dep", "cb1", "", "x" * 500, "\x1b"):
        with pytest.raises(UsageError, match=r"There is no draw .* dep\.7\.$"):
            plots.candidates(trace, 57, name)
    with pytest.raises(TraceError, match="no call 1000"):
        plots.candidates(trace, 1000)
    with pytest.raises(TraceError, match="a warm-up call draws nothing"):
        plots.candidates(trace, 3)
    with pytest.raises(TraceError, match=r"no candidates of cb0: this trace keeps only action\.$"):
        plots.candidates(trace.redact(tmp_path / "voice", voice=True), 57, "cb0")


# Attention


def test_the_image_is_the_replayed_attention(trace: Dia2Trace) -> None:
    replay = trace.replay(engine("tiny8"), range(40, 61), attention=True)
    for figure in (
        plots.attention(trace, engine("tiny8"), 1, 2, first=40, last=60),
        plots.attention(trace, replay, 1, 2),
    ):
        image = figure.axes[0].get_images()[0]
        weights = image.get_array()
        assert weights is not None
        assert tuple(image.get_extent()) == (-0.5, 60.5, 60.5, 39.5)
        later = np.arange(61)[None] > np.arange(40, 61)[:, None]
        assert np.array_equal(np.ma.getmaskarray(weights), later)
        expected = replay.attention[1][:, 0, 2].numpy()
        assert np.allclose(np.ma.getdata(weights), expected, atol=1e-6)
    assert plots.attention(trace, replay, 1, 2, first=50).axes[0].get_images()[0].get_extent()[3] == 49.5


def test_words_stand_where_their_tokens_went_in(trace: Dia2Trace) -> None:
    figure = plots.attention(trace, engine("tiny8"), 0, 0)
    places = {int(word.get_position()[0]): word.get_text() for word in words(figure)}
    seen = trace.column("text")[:, 0]
    expected = {word.call + 1: word for word in trace.words if word.call is not None}
    assert set(places) <= set(expected)
    assert len(places) > 10
    for slot, text in places.items():
        assert expected[slot].text == text
        assert seen[slot : slot + len(expected[slot].tokens)].tolist() == expected[slot].tokens


def test_the_word_being_spoken_is_outlined(tmp_path: Path) -> None:
    tts = Dia2.nano(device="cpu")
    tts.generate("[S1] Hello there. [S2] How are you today?", seed=1, trace=tmp_path / "run")
    trace = Dia2Trace.load(tmp_path / "run")
    slots = spoken_slots(trace, placed_words(trace, len(trace)))
    seen, tokens = trace.column("text")[:, 0], [word.tokens for word in trace.words]
    held = [seen[found].tolist() for found in slots if found]
    whole = [part for i, part in enumerate(held) if i + 1 == len(held) or held[i + 1] != part]
    assert whole == tokens, "one word after the other, each whole by the time that its sound ends"
    replay = trace.replay(tts, attention=True)
    looking = best_head(trace, replay)
    figure = plots.attention(trace, replay, looking.layer, looking.head)
    outlined = boxes(figure, "spoken")
    assert [(round(left + 0.5), round(right - 0.5)) for left, _, right, _ in outlined] == sorted(
        {(found[0], found[-1]) for found in slots if found}
    )
    assert sum(round(top - bottom) for _, bottom, _, top in outlined) == sum(map(bool, slots))
    weights = replay.attention[looking.layer][:, 0, looking.head]
    share = np.mean([float(weights[call, found].sum()) for call, found in enumerate(slots) if found])
    assert plots.describe(figure).endswith(f"{share:.0%} on the word being spoken")
    assert share > 0.4, "a head that looks at it"
    drawn(figure)


def test_heads_and_replays_that_do_not_fit_are_told(trace: Dia2Trace) -> None:
    tts = engine("tiny8")
    for layer, head, told in ((9, 0, "no layer 9"), (-1, 0, "no layer -1"), (0, 99, "no head 99")):
        with pytest.raises(UsageError, match=told):
            plots.attention(trace, tts, layer, head)
    with pytest.raises(UsageError, match="has no attention"):
        plots.attention(trace, trace.replay(tts, [40, 41]), 0, 0)
    with pytest.raises(UsageError, match="lacks call 41"):
        plots.attention(trace, trace.replay(tts, [40, 42], attention=True), 0, 0)
    with pytest.raises(UsageError, match="checkpoint"):
        plots.attention(trace, engine("tiny4"), 0, 0)


# A long run


@pytest.fixture(scope="module")
def long() -> Dia2Trace:
    """1,500 calls, 32 codebooks and two minutes of audio of a made-up run, in which a word comes every fourth call."""
    trace: Dia2Trace = Dia2Trace.load(recorded())
    calls, codebooks, every = 1500, 32, 4
    run, random = trace.run, np.random.default_rng(0)
    model = replace(run.model, codebooks=codebooks, delays=[4] + [6] * (codebooks - 1))
    entries = [Entry([50, 51], f"word{i}", 2, 1 + i // 10 % 2) for i in range(calls // every)]
    trace.manifest = replace(
        trace.manifest, run=replace(run, model=model, entries=entries, prefix_words=0, prefix_frames=0)
    )
    steps = np.arange(calls)
    zeros, begins = np.zeros(calls, dtype=int), steps % every == 0
    main = np.select([begins, steps % every == 1], [50, 51], model.tokens.pad)
    second = np.where(begins, model.tokens.new_word, model.tokens.pad)
    action = np.where(begins, model.tokens.action_new_word, model.tokens.action_pad)
    same = dict.fromkeys(
        ("forced", "padding_budget", "forced_padding", "entries_left", "pending_end", "lookahead_end"), zeros
    )
    trace._columns = same | {
        "call": steps,
        "step": steps,
        "position": steps,
        "slot": steps,
        "phase": zeros + 1,
        "text": np.stack((main, second), axis=1),
        "emitted": np.stack((main, second), axis=1),
        "codes": random.integers(0, 50, (calls, codebooks)),
        "action": action,
        "consumed": begins.astype(int),
        "end_step": zeros - 1,
        "pending": np.zeros(0, dtype=int),
        "lookahead": np.zeros(0, dtype=int),
    }
    trace.__dict__["audio"] = (random.normal(0, 0.1, 120 * 24_000).astype(np.float32), 24_000)
    return trace


def looking(trace: Dia2Trace) -> Figure:
    """Attention as a replay of the whole run would give it: each call looks everywhere alike."""
    none, calls = torch.zeros(0), len(trace)
    weights = torch.ones(calls, calls).tril() / torch.arange(1, calls + 1)[:, None]
    replay = Replay(list(range(calls)), none, none, none, none, none, none, attention=[weights[:, None, None]])
    return plots.attention(trace, replay, 0, 0)


@pytest.mark.parametrize(
    "draw", [plots.waveform, plots.streams, plots.grid, plots.kv_growth, pytest.param(looking, marks=pytest.mark.slow)]
)
def test_a_long_run_is_drawn_in_seconds(draw: Draw, long: Dia2Trace) -> None:
    start = time.process_time()
    figure = draw(long)
    drawn(figure)
    assert time.process_time() - start < 20
    assert figure.get_size_inches()[1] <= 14
    assert len(words(figure)) < 1000
