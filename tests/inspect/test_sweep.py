"""Sweeps: every combination once, found again, and aligned where the runs part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dia2.adapter.sweep import Variant
from dia2.common.errors import UsageError
from dia2.inspect import Dia2Trace, Sweep, plots, sweep

from ..support.reference import Case, engine
from ..support.traces import with_manifest

SCRIPT = "[S1] Hello there. How are you?"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    return sweep(engine("tiny4"), SCRIPT, tmp_path_factory.mktemp("sweep"), seeds=(1, 2), cfg_scales=(1.0, 3.0))


def test_every_combination_is_a_trace(runs: Sweep) -> None:
    settings = [(v.seed, v.cfg_scale, v.temperature) for v in runs.variants]
    assert settings == [(1, 1.0, 0.8), (1, 3.0, 0.8), (2, 1.0, 0.8), (2, 3.0, 0.8)]
    for variant in runs.variants:
        config = variant.trace.run.config
        assert (variant.trace.run.seed, config.cfg_scale) == (variant.seed, variant.cfg_scale)


def test_runs_are_aligned_where_they_part(runs: Sweep) -> None:
    parted, first = runs.parted(), runs.variants[0].trace
    assert np.array_equal(parted, parted.T)
    assert np.diag(parted).tolist() == [len(v.trace) for v in runs.variants]
    for variant, row, shared in zip(runs.variants[1:], runs.rows()[1:], parted[0, 1:], strict=True):
        same = np.array_equal(first.codes, variant.trace.codes)
        assert row["parts_at"] == (None if same else shared)
        assert np.array_equal(first.codes[:shared], variant.trace.codes[:shared])
        assert same or f"parts from the first run at call {shared}, in {row['parts_in']}" in str(runs)
    assert sum(row["parts_at"] is not None for row in runs.rows()) >= 2
    assert runs.rows()[0] | {"calls": 0, "words": 0} == {
        "seed": 1, "cfg_scale": 1.0, "temperature": 0.8, "calls": 0, "words": 0, "parts_at": None, "parts_in": None,
    }  # fmt: skip
    assert str(runs).splitlines()[0].endswith("as the first run")


@pytest.mark.slow
def test_words_are_those_that_begin_within_the_audio(runs: Sweep, tmp_path: Path) -> None:
    case, paths = Case("tiny4", "context_end"), [tmp_path / "whole", tmp_path / "silent" / "run.dia2trace"]
    result = engine("tiny4").generate(case.expected["script"], case.config(seed=3), trace=paths[0])
    paths[1].parent.mkdir()
    with_manifest(paths[0], paths[1].parent, result=None, audio=None)
    (tmp_path / "short").mkdir()
    paths[0] = with_manifest(paths[0], tmp_path / "short", result={"samples": 5 * 24_000, "stop_reason": "context"})
    ended = Sweep([Variant(3, 2.0, 0.0, Dia2Trace(path)) for path in paths])
    heard = [word for word in result.words if word.seconds < 5]
    assert 0 < len(heard) < len(result.words), "the context can end in words that are not decoded any more"
    assert [row["words"] for row in ended.rows()] == [len(heard), None]
    told = str(ended).splitlines()
    assert f" calls, {len(heard)} words, as the first run" in told[0]
    assert told[1].endswith(f"{len(ended.variants[1].trace)} calls, as the first run")
    assert all(row["words"] for row in runs.rows())


def test_what_was_made_is_not_made_again(runs: Sweep) -> None:
    folder = runs.variants[0].trace.path.parents[1]
    before = {path: path.stat().st_mtime_ns for path in folder.glob("traces/*/manifest.json")}
    told: list[tuple[int, int]] = []
    again = sweep(
        engine("tiny4"),
        SCRIPT,
        folder,
        seeds=(1, 2, 3),
        cfg_scales=(1.0, 3.0),
        progress=lambda done, of: told.append((done, of)),
    )
    after = {path: path.stat().st_mtime_ns for path in folder.glob("traces/*/manifest.json")}
    assert {path: after[path] for path in before} == before
    assert len(after) == len(again.variants) == 6
    assert told == [(i, 6) for i in range(1, 7)]


def test_another_script_is_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "sweeps" / "greetings"  # is made
    sweep(engine("tiny4"), "[S1] Hi.", folder)
    (variant,) = sweep(engine("tiny4"), "[S1] Bye.", folder).variants
    assert variant.trace.manifest.script == "[S1] Bye."
    hashes = variant.trace.run.hashes
    (variant,) = sweep(engine("tiny3"), "[S1] Bye.", folder).variants
    assert variant.trace.run.hashes != hashes


def test_bad_sweeps_make_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="1 to 10,000 runs, and this one would have 0"):
        sweep(engine("tiny4"), "[S1] Hi.", tmp_path, seeds=())
    with pytest.raises(UsageError, match="and this one would have 12,000"):
        sweep(engine("tiny4"), "[S1] Hi.", tmp_path, seeds=range(6000), cfg_scales=(1, 2))
    for temperature, cfg in ((-1.0, 1.0), (0.8, float("nan"))):
        with pytest.raises(UsageError):
            sweep(engine("tiny4"), "[S1] Hi.", tmp_path, temperatures=[0.8, temperature], cfg_scales=[cfg])
    assert not list(tmp_path.iterdir())
    (tmp_path / "a file").touch()
    with pytest.raises(UsageError, match=r"a file cannot be created \(File exists\): write elsewhere"):
        sweep(engine("tiny4"), "[S1] Hi.", tmp_path / "a file")


def test_the_picture_shows_words_and_where_runs_part(runs: Sweep) -> None:
    figure = plots.sweep(runs)
    (axes,) = figure.axes
    marks = [line.get_xdata()[0] for line in axes.lines if line.get_gid() == "parts"]  # type: ignore[index]
    parted = [row["parts_at"] for row in runs.rows() if row["parts_at"] is not None]
    assert marks == [at - 0.5 for at in parted]
    assert [label.get_text() for label in axes.get_yticklabels()] == [str(variant) for variant in runs.variants]
    words = sum(word.call is not None for variant in runs.variants for word in variant.trace.words)
    assert len([found for found in figure.findobj() if found.get_gid() == "word box"]) == words
    assert plots.describe(figure) == f"4 runs of one script: {len(parted)} part from the first one"
    figure.savefig(runs.variants[0].trace.path.parent / "sweep.png")
