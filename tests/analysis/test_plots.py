"""Figures of the analysis draw its numbers, fit on their page, and read no word as markup."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from dia2 import analysis
from dia2.analysis import HeadAblation, HeadTable, LogitLens, PatchingGrid, ProbeScores, SpokenWord
from dia2.common.errors import Dia2Error, UsageError
from dia2.inspect import plots
from dia2.inspect.views.plots import page
from dia2.inspect.views.plots.pointname import short_name

from ..inspect.test_plots import ATTACKS, drawn, is_shown, named
from ..support.reference import engine
from .runs import CHECKPOINT, runs


def spoken(words: Any) -> list[SpokenWord]:
    """The words of a figure's data, with texts that attack."""
    return [replace(word, text=ATTACKS[number % len(ATTACKS)]) for number, word in enumerate(words)]


@cache
def lens() -> LogitLens:
    return analysis.logit_lens(runs()[0], engine(CHECKPOINT))


@cache
def grid(by_head: bool) -> PatchingGrid:
    """Of single heads at named positions, or of whole points at calls."""
    trace, calls = runs()[0], range(12, 20)
    tokens = trace.step_tokens[:, 0].astype(np.int64)
    tokens[9, 0] += 1
    points = "act.*.heads" if by_head else ["act.embed", "act.*.resid", "act.0.mlp"]
    positions: Any = (
        {"the slot": [9], "where the word is drawn, and its neighbours": calls} if by_head else range(4, 20)
    )
    return analysis.activation_patching(
        engine(CHECKPOINT), trace, tokens, points, positions, calls=calls, by_head=by_head
    )


@cache
def tables() -> tuple[HeadTable, HeadAblation]:
    return analysis.head_table(runs(), engine(CHECKPOINT)), analysis.ablate_heads(runs(), engine(CHECKPOINT))


def scores(target: str = "speaker") -> ProbeScores:
    places = np.arange(5)
    score = 0.5 + 0.1 * places
    points = ["act.embed", *(f"act.{layer}.resid" for layer in range(4))]
    baselines: dict[str, Any] = {
        "shuffled": 0.5 + 0 * score,
        "majority": 0.52,
        "validated": score,
        "strength": score,
        "untrained": 0.55 + 0 * score,
    }
    return ProbeScores(
        target,
        "accuracy",
        points,
        score,
        score - 0.02,
        score + 0.03,
        **baselines,
        classes=[1, 2],
        calls=(90, 45),
        runs=(4, 3),
    )


def curve(control: bool = True) -> Any:
    return analysis.strength_curve(
        lambda at: {"words heard": [1 - at / 4, 1.0, 0.5], "in voice 2": [at / 2, 0.0, 1.0]},
        [0, 0.5, 1, 2],
        control=(lambda at: {"words heard": [0.9] * 3, "in voice 2": [0.0] * 3}) if control else None,
        units="strength: 1 is the difference of means of speaker 2 and speaker 1",
    )


FIGURES: dict[str, Callable[[], Figure]] = {
    "lens": lambda: plots.lens(lens()),
    "lens of the action": lambda: plots.lens(replace(lens(), tuned=True), "action"),
    "pattern": lambda: plots.pattern(analysis.attention_pattern(runs()[0], engine(CHECKPOINT), 1), 0),
    "patching": lambda: plots.patching(grid(False)),
    "patching of heads": lambda: plots.patching(grid(True)),
    "patching of several": lambda: plots.patching(analysis.pooled([grid(True), grid(True)])),
    "heads": lambda: plots.head_grid(*tables()),
    "strength": lambda: plots.strength(curve()),
    "probes": lambda: plots.probes(scores(), scores("silent")),
}
ONE_AXES = [name for name in FIGURES if name not in ("probes", "heads")]


@pytest.fixture(scope="module")
def figures() -> dict[str, Figure]:
    """All of them, drawn."""
    made = {name: draw() for name, draw in FIGURES.items()}
    assert all(drawn(figure).startswith(b"\x89PNG") for figure in made.values())
    return made


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_of_a_figure_is_cut_off(name: str, figures: dict[str, Figure]) -> None:
    figure = figures[name]
    assert figure.get_size_inches()[0] == 7.0
    frame = figure.bbox.padded(1.0)
    for artist in (*figure.legends, *(text for text in figure.findobj(Text) if is_shown(text))):
        extents = artist.get_window_extent()
        assert frame.x0 <= extents.x0 <= extents.x1 <= frame.x1, artist
        assert frame.y0 <= extents.y0 <= extents.y1 <= frame.y1, artist


@pytest.mark.parametrize("name", ONE_AXES)
def test_a_heading_does_not_run_into_its_numbers(name: str, figures: dict[str, Figure]) -> None:
    texts: dict[str, Any] = {text.get_text(): text for text in figures[name].findobj(Text)}
    title, numbers = plots.describe(figures[name]).split(": ", 1)
    assert texts[title].get_window_extent().x1 + 5 < texts[numbers].get_window_extent().x0


def image(figure: Figure) -> np.ndarray:
    (found,) = figure.axes[0].get_images()
    return np.asarray(found.get_array())


def test_a_lens_draws_its_numbers(figures: dict[str, Figure]) -> None:
    assert np.array_equal(image(figures["lens"]), lens().cb0.nll.T)
    assert np.array_equal(image(figures["lens of the action"]), lens().action.nll.T)
    dots = {(round(x), round(y)) for line in named(figures["lens"], "same") for x, y in line.get_xydata()}
    assert dots == {(int(x), int(y)) for x, y in np.argwhere(lens().cb0.same)}
    assert [word.get_text() for word in named(figures["lens"], "word")] == ["one", "two", "three", "four", "five"]
    assert len(named(figures["lens"], "span")) == 5
    told = plots.describe(figures["lens of the action"])
    assert told.startswith(f"Tuned lens of the action: {len(lens().calls)} calls · ")


def test_a_pattern_has_words_on_both_axes(figures: dict[str, Figure]) -> None:
    found, figure = analysis.attention_pattern(runs()[0], engine(CHECKPOINT), 1), figures["pattern"]
    shown = image(figure)
    later = np.arange(shown.shape[1]) > np.array(found.calls)[:, None]
    np.testing.assert_array_equal(np.ma.getmaskarray(np.ma.asarray(figure.axes[0].get_images()[0].get_array())), later)
    assert np.array_equal(shown[~later], found.weights[:, 0][~later])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["one", "two", "three", "four", "five"]
    assert {word.get_text() for word in named(figure, "word")} == {"one", "two", "three", "four", "five"}


def test_a_word_that_both_speakers_say_has_the_colour_of_each() -> None:
    found = analysis.attention_pattern(runs()[0], engine(CHECKPOINT), 1)
    same: dict[str, Any] = {
        name: ["one" if text else "" for text in getattr(found, name)] for name in ("slot_words", "call_words")
    }
    figure = plots.pattern(replace(found, **same), 0)
    colours = set()
    for span in named(figure, "span"):
        across, down = span.get_xdata(), span.get_ydata()
        of = found.slot_speakers if down[0] == down[1] else found.call_speakers
        place = across[0] if down[0] == down[1] else down[0]
        assert span.get_color() == page.SPEAKER[of[math.ceil(place)]]
        colours.add(span.get_color())
    assert colours == set(page.SPEAKER.values())


def test_a_grid_draws_what_is_taken_back(figures: dict[str, Figure]) -> None:
    found, figure = grid(False), figures["patching"]
    assert np.array_equal(image(figure), found.restored)
    shares = [text.get_text().replace("−", "-") for text in named(figure, "share")]
    assert [int(share or 0) for share in shares] == [round(100 * value) for value in found.restored.flatten()]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["embed", "L0", "L1", "L0 mlp"]
    assert [label.get_text() for label in figures["patching of heads"].axes[0].get_yticklabels()][:2] == [
        "L0H0",
        "L0H1",
    ]
    assert [word.get_text() for word in named(figure, "word")] == ["one", "two", "three", "four"][
        : len(named(figure, "word"))
    ]
    assert named(figure, "word")
    assert not named(figures["patching of heads"], "word")


def test_heads_have_their_numbers_and_the_sure_ones_a_frame(figures: dict[str, Figure]) -> None:
    table, ablation = tables()
    both = (table.excess, table.low, table.high, 100), (ablation.cb0, ablation.low["cb0"], ablation.high["cb0"], 1)
    for axes, (values, low, high, scale) in zip(figures["heads"].axes, both, strict=True):
        (shown,) = axes.get_images()
        assert np.array_equal(np.asarray(shown.get_array()), values)
        told = [text for text in axes.texts if text.get_gid() == "share"]
        for text, value in zip(told, values.flatten(), strict=True):
            assert float(text.get_text().replace("−", "-") or 0) == pytest.approx(
                scale * value, abs=0.5001 if scale > 1 else 0.006
            )
        (frames,) = [artist for artist in axes.collections if artist.get_gid() == "sure"]
        places = {
            tuple(np.round(path.get_extents().get_points().mean(axis=0)).astype(int).tolist())
            for path in frames.get_paths()
        }
        sure = (low > 0) | (high < 0)
        assert places == {(int(head), int(layer)) for layer, head in np.argwhere(sure)}
        assert sure.any()


def test_a_curve_has_its_control_and_its_interval(figures: dict[str, Figure]) -> None:
    found, figure = curve(), figures["strength"]
    for name in ("words heard", "in voice 2"):
        ((line,), (control,)) = named(figure, name), named(figure, f"control of {name}")
        assert line.get_xdata().tolist() == [0, 0.5, 1, 2]
        assert line.get_ydata().tolist() == found.mean[name].tolist()
        assert control.get_ydata().tolist() == found.control[name].tolist()
    assert len(figure.axes[0].collections) == 2
    assert "dashed: the control" in {text.get_text() for text in figure.findobj(Text)}
    plain = plots.strength(curve(control=False))
    assert "dashed: the control" not in {text.get_text() for text in plain.findobj(Text)}


def test_scores_have_both_baselines(figures: dict[str, Figure]) -> None:
    figure = figures["probes"]
    for axes in figure.axes:
        lines: dict[Any, Any] = {line.get_gid(): line for line in axes.get_lines()}
        assert set(lines["majority"].get_ydata()) == {0.52}
        assert lines["shuffled"].get_ydata().tolist() == [0.5] * 5
        (bars,) = axes.containers
        assert bars[0].get_ydata().tolist() == pytest.approx(scores().score.tolist())
        assert [label.get_text() for label in axes.get_xticklabels()] == ["embed", "L0", "L1", "L2", "L3"]
    assert plots.describe(figure) == "speaker: 2 classes, n = 45 in 3 runs: silent: 2 classes, n = 45 in 3 runs"


def test_no_word_is_markup_and_none_steers() -> None:
    found = lens()
    pattern = analysis.attention_pattern(runs()[0], engine(CHECKPOINT), 1)
    attacked = {
        text: ATTACKS[number % len(ATTACKS)] for number, text in enumerate(sorted({*pattern.call_words} - {""}))
    }
    attacked[""] = ""
    texts: dict[str, Any] = {
        name: [attacked.get(word, "") for word in getattr(pattern, name)] for name in ("slot_words", "call_words")
    }
    for figure in (
        plots.lens(replace(found, words=spoken(found.words))),
        plots.pattern(replace(pattern, **texts, words=spoken(pattern.words)), 0),
        plots.patching(replace(grid(False), words=spoken(grid(False).words))),
        plots.patching(replace(grid(True), columns=list(ATTACKS[:2]))),
    ):
        drawn(figure)
        for text in figure.findobj(Text):
            assert len(text.get_text()) <= 150
            assert "$" not in text.get_text() or not text.get_parse_math()
            assert not any(ord(char) < 32 or char == "\u202e" for char in text.get_text())


def test_what_cannot_be_drawn_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    trace: Any = runs()[0]
    for draw in (
        plots.lens,
        lambda found: plots.pattern(found, 0),
        plots.patching,
        plots.strength,
        plots.probes,
        plots.head_grid,
    ):
        with pytest.raises(UsageError, match=r"needs .*dia2.analysis"):
            draw(trace)
    with pytest.raises(UsageError, match="cb0 or action"):
        plots.lens(lens(), "dep")
    with pytest.raises(UsageError, match=r"There is no head 9"):
        plots.pattern(analysis.attention_pattern(trace, engine(CHECKPOINT), 1, [12]), 9)
    with pytest.raises(UsageError, match="one to four"):
        plots.probes()
    many = replace(lens(), calls=list(range(401)))
    with pytest.raises(UsageError, match="401 calls are too many"):
        plots.lens(many)


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    pattern = analysis.attention_pattern(runs()[0], engine(CHECKPOINT), 1)
    monkeypatch.delitem(sys.modules, "dia2.inspect.views.plots.figure", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for name in FIGURES:
        with pytest.raises(Dia2Error, match="pip install matplotlib"):
            plots.pattern(pattern, 0) if name == "pattern" else FIGURES[name]()


@pytest.mark.parametrize(("point", "name"), [
    ("act.embed", "embed"), ("act.2.resid", "L2"), ("act.10.mlp", "L10 mlp"), ("act.2.heads[1]", "L2H1"),
    ("act.2.heads", "L2 heads"), ("act.hidden", "hidden"), ("act.dep.0.resid", "dep.0.resid"),
])  # fmt: skip
def test_points_have_short_names(point: str, name: str) -> None:
    assert short_name(point) == name
