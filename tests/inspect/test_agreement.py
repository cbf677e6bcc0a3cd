"""In no view stands “1 words” or “2 pass”, and no view of an object is a line of thousands of letters."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from dia.adapter.trace import DiaTrace
from dia2.cli import main
from dia2.inspect import Dia2Trace, load, sweep
from dia2.inspect.views.explorer.view import view_of

from ..support.dia import toy
from ..support.reference import Case, engine
from ..support.traces import recorded_dia, recorded_quickly

NOUNS = "word|call|frame|step|token|entry|run|column|slot|row|pass|draw|channel|codebook|position|byte|sample|piece"
NOUNS += "|cell|script|layer|candidate|break|action|difference|new word|tensor|seed"
MANY = "words|calls|frames|steps|tokens|entries|runs|columns|slots|rows|passes|draws|channels|codebooks|positions|bytes"
MANY += "|samples|pieces|cells|scripts|layers|candidates|breaks|actions|differences|new words|tensors|seeds"
# A number that names one of many (call 1, step 2) or stands beside a unit is no count of what follows.
BEFORE = r"(?<![\d.,–…/:+-])(?<!call )(?<!step )(?<!row )(?<!frame )(?<!column )(?<!script )(?<!speaker )(?<!codebook )"
SLIP = re.compile(rf"{BEFORE}\b(?:1 (?:forced )?(?:{MANY})|(?:0|[2-9]|\d[\d,]*\d) (?:{NOUNS}))\b(?! (?:of|by|\d))")


def test_slips_are_seen() -> None:
    for text in ("1 words taken", "2 pass over", "1 forced new words", "0 entry", "12 call"):
        assert SLIP.search(text), text
    for text in ("1 word taken", "12 passes", "call 1 words", "step 2 pass", "0.1 words", "21 words"):
        assert not SLIP.search(text), text


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A run of one word, one of one call, a prefix of one word, and one script of Dia."""
    folder = tmp_path_factory.mktemp("short")
    tts = engine("tiny3")
    prefix = [{"text": "so", "start": 0.1, "end": 0.3}]
    options: dict[str, Any] = {
        "prefix_speaker_1": Case("tiny3", "prefix2").folder / "spk1.wav",
        "prefix_words_1": prefix,
    }
    tts.generate("[S1] Hi.", seed=1, trace=folder / "word.dia2trace")
    tts.generate("[S1] Hi.", seed=1, cfg_scale=1, trace=folder / "prefix.dia2trace", **options)
    toy().speak("[S1] Hi.", seed=1, max_tokens=3, trace=folder / "dia.dia2trace")
    return sorted(folder.iterdir())


def printed(trace: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """All that the command line shows of it."""
    views = [["show"], ["frames"], ["frames", "--call", "0"], ["frames", "--call", "1"], ["grid"], ["hooks"]]
    views += [] if "dia.dia2trace" in str(trace) or trace == recorded_dia() else [["prefix"]]
    for name, *rest in views:
        assert main(["trace", name, str(trace), "--width", "300", *rest]) == 0, (name, rest)
    assert main(["trace", "show", str(trace), "--width", "60"]) == 0
    assert main(["trace", "diff", str(trace), str(trace), "--width", "300"]) == 0
    return capsys.readouterr().out


def test_views_of_short_runs_agree(short: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    for path in [*short, recorded_quickly(), recorded_dia()]:
        text = printed(path, capsys)
        assert len(text) > 1000
        assert not (found := SLIP.search(text)), text[max(0, found.start() - 60) : found.end() + 60]
        shown = view_of(load(path)).header["rows"]
        assert not (found := SLIP.search(str(shown))), str(shown)[max(0, found.start() - 60) : found.end() + 60]


def shown_objects() -> list[Any]:
    """What the public functions give, of either model."""
    trace, other, tts = Dia2Trace.load(recorded_quickly()), DiaTrace.load(recorded_dia()), engine("tiny3")
    parts = [
        trace,
        trace.frames,
        trace.frames[37],
        trace.manifest,
        trace.run,
        trace.model,
        trace.run.config,
        trace.words[0],
    ]
    parts += [*trace.rows(), trace.prefix, trace.diagnose(), trace.diff(trace), trace.phases[0], trace.draws(37)[0]]
    parts += [trace.machine_at(37), trace.replay(tts, [36, 37], attention=True), tts, tts.runtime]
    parts += [other, other.manifest, other.run, other.model, *other.rows(), other.replay(toy(), [20]), other.run.config]
    parts += [toy(), toy().speak(["[S1] Hi.", "[S2] Oh."], seed=1, max_tokens=20)]
    return [*parts, tts.generate("[S1] Hi.", seed=1), next(tts.stream("[S1] Hi.", seed=1))]


def test_what_a_notebook_shows_of_an_object_is_a_few_short_lines() -> None:
    for made in shown_objects():
        lines = repr(made).splitlines()
        assert max(map(len, lines)) <= 160, lines
        assert len(lines) <= 12, lines
        assert "object at 0x" not in lines[0]


def test_a_sweep_is_a_line_however_many_runs_it_has(tmp_path: Path) -> None:
    runs = sweep(engine("tiny3"), "[S1] Hi.", tmp_path / "runs", seeds=(1, 2), cfg_scales=(1,))
    assert repr(runs) == "<Sweep of 2 runs: seed 1, 2, cfg 1, temperature 0.8; print it to see where they part>"
    assert "2 seeds" not in repr(runs)
    many = type(runs)(runs.variants * 32)
    assert len(repr(many)) <= 160
