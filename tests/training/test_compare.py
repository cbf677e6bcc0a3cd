"""`training.compare`: what is said of two checkpoints follows from their runs, and its page shows data as data."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from dia2.common.errors import UsageError
from tests.support.whisper_weights import checkpoint
from training import compare as module
from training.compare import Comparison, Heard, changes_of, compare, main, print_table, read_scripts
from training.compare_page import _told
from training.nearness import BETTER, PITCH, SPECTRUM, Speaker

_SAID = ["the", "train", "leaves", "at", "six"]


def run(side: str, script: int, heard: str, near: float | None = None, seed: int = 1) -> Heard:
    nearness = {} if near is None else {2: {PITCH: near}}
    return Heard(side, script, seed, "", _SAID, heard.split(), nearness)


def test_words_and_nearness_before_and_after() -> None:
    runs = [run("before", n, "the train leaves at", 6.0) for n in range(8)]
    runs += [run("after", n, "the train leaves at six", 2.0) for n in range(8)]
    words, pitch = changes_of(runs)
    assert (words.before, words.after, words.low, words.high) == pytest.approx((0.2, 0.0, -0.2, -0.2))
    assert words.verdict == "better"
    assert (pitch.what, pitch.before, pitch.after, pitch.verdict) == (f"[S2] {PITCH}", 6.0, 2.0, "better")


def test_what_got_worse_is_said() -> None:
    runs = [run("before", n, "the train leaves at six") for n in range(8)]
    runs += [run("after", n, "the rain leaves six") for n in range(8)]
    found = Comparison(["x"] * 8, runs, changes_of(runs), crude=False)
    assert found.warnings == ["Words heard otherwise got worse: 0% → 40%."]
    console = Console(width=100, record=True, file=io.StringIO())
    print_table(found, console)
    assert "warning: Words heard otherwise got worse: 0% → 40%." in console.export_text()


def test_a_difference_that_scripts_scatter_over_is_none() -> None:
    runs = [run("before", n, "the train leaves at six") for n in range(8)]
    runs += [run("after", n, "the train leaves at" if n == 3 else "the train leaves at six") for n in range(8)]
    (words,) = changes_of(runs)
    assert words.after == pytest.approx(1 / 40)
    assert words.verdict == "no sure difference"


def test_few_scripts_tell_nothing() -> None:
    runs = [run("before", n, "") for n in range(7)] + [run("after", n, "the train leaves at six") for n in range(7)]
    assert changes_of(runs)[0].verdict == "too few scripts to tell"


def test_only_pairs_count() -> None:
    """A script or a measure that one side lacks says nothing of the difference."""
    runs = [run("before", 0, "the train leaves at six", 1.0), run("before", 1, "", 9.0)]
    runs += [run("after", 0, "the train leaves at six", 3.0), run("after", 1, "the train leaves at six")]
    words, pitch = changes_of(runs)
    assert (words.before, words.after) == pytest.approx((0.5, 0.0))
    assert (pitch.before, pitch.after, pitch.scripts) == (1.0, 3.0, 1)


def test_what_was_heard_is_shown_as_data() -> None:
    heard = Heard("after", 0, 1, "", ["the", "<b>"], ["the", "<script>alert(1)</script>", "rain"])
    assert _told(heard) == "the <del>&lt;b&gt;</del> <ins>&lt;script&gt;alert(1)&lt;/script&gt; rain</ins>"


def test_pitch_and_spectrum_tell_two_voices_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.nearness.embeds", lambda: False)
    low, high = (_buzz(hertz) for hertz in (100, 200))
    near, far = Speaker(low, 24_000).nearness(low[:48_000], 24_000), Speaker(low, 24_000).nearness(high, 24_000)
    assert near[PITCH] < 0.2
    assert far[PITCH] == pytest.approx(12, abs=0.3)
    assert near[SPECTRUM] < far[SPECTRUM]
    assert Speaker(low, 24_000).nearness(low[:12_000], 24_000) == {}, "half a second tells no voice"
    assert BETTER[PITCH] == BETTER[SPECTRUM] == -1


def _buzz(hertz: int) -> np.ndarray:
    """Three seconds of pulses with some noise: samples [N] at 24 kHz."""
    samples = np.random.default_rng(0).normal(scale=1e-3, size=72_000)
    samples[:: 24_000 // hertz] += 1
    return np.convolve(samples, np.exp(-np.arange(100) / 20), "same").astype(np.float32)


def test_scripts_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "scripts.txt"
    file.write_text("[S1] Hello.\n\n  [S2] Hi. \n[S1] Hello.\n")
    assert read_scripts(file) == ["[S1] Hello.", "[S2] Hi."]
    file.write_text("\n")
    with pytest.raises(UsageError, match=re.escape(f"{file} has no scripts: write one a line.")):
        read_scripts(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="are not UTF-8"):
        read_scripts(file)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--like", "3=x"], "--like is a speaker and recordings, such as 1=recordings/ann, not '3=x'."),
        (["--like", "1=nowhere"], "There are no recordings of speaker 1 in nowhere."),
        (["--seeds", "0"], "--seeds is a whole number from 1, not 0."),
        ([], "Both checkpoints are the same: there is nothing to compare."),
    ],
)
def test_bad_usage_is_a_sentence(
    options: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("scripts.txt").write_text("[S1] Hi.\n")
    assert main(["nano", "nano", "report", "--script", "scripts.txt", *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_two_checkpoints_are_heard_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nano beside itself with noise on its weights; the second time nothing is made or heard again."""
    whisper = checkpoint("tiny.en")
    if whisper is None:
        pytest.skip("Whisper's tiny.en cannot be had")
    other = _spoilt(tmp_path / "spoilt")
    scripts = ["[S1] Hello there. How are you? <b>"]
    found = compare("nano", str(other), tmp_path / "report", scripts, seeds=(1,), whisper=str(whisper), quiet=True)
    assert [(r.side, r.script, r.seed) for r in found.runs] == [("before", 0, 1), ("after", 0, 1)]
    page = (tmp_path / "report" / "index.html").read_text()
    assert page.count("<audio") == 2
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "<script" not in page
    assert "default-src &#x27;none&#x27;" in page or "default-src 'none'" in page
    assert (tmp_path / "report" / "pair-01.html").stat().st_size > 100_000
    figures = json.loads((tmp_path / "report" / "figures.json").read_text())
    assert figures["changes"][0]["before"] == found.changes[0].before

    def never(*_: object) -> None:
        raise AssertionError("heard before")

    monkeypatch.setattr(module, "Ear", never)
    again = compare("nano", str(other), tmp_path / "report", scripts, seeds=(1,), whisper=str(whisper), quiet=True)
    assert again == found


def _spoilt(folder: Path) -> Path:
    """Nano with a little noise on its weights."""
    import shutil

    import torch
    from safetensors.torch import load_file, save_file

    import dia2.runtime

    shutil.copytree(Path(dia2.runtime.__file__).parent / "nano", folder)
    weights = load_file(folder / "model.safetensors")
    generator = torch.Generator().manual_seed(0)
    for name, tensor in weights.items():
        noise = torch.randn(tensor.shape, generator=generator) * tensor.float().std() * 0.05
        weights[name] = (tensor.float() + noise).to(tensor.dtype) if tensor.dim() > 1 else tensor
    save_file(weights, folder / "model.safetensors")
    return folder
