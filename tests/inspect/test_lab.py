"""The lab: what its controls ask for is what is generated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dia2.adapter.trace import Dia2Trace
from dia2.common.errors import TraceError, UsageError
from dia2.runtime.activations import Ablate, Steer, Where, from_call
from dia2.runtime.edits import ChangeSampling, ForceAction, ReplaceToken

from ..support.reference import engine
from .test_instead import cell_of

SCRIPT = "[S1] Hello there. How are you?"


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Dia2Trace:
    path = tmp_path_factory.mktemp("lab") / "run.dia2trace"
    engine("tiny4").generate(SCRIPT, seed=1, cfg_scale=2.0, trace=path)
    return Dia2Trace(path)


def test_untouched_controls_give_the_same_run(trace: Dia2Trace) -> None:
    lab = trace.lab(engine("tiny4"))
    lab.call.value = 9
    assert lab.edits() == []
    assert (lab.action.index, lab.action.label, lab.action.value) == (0, "as it is drawn", None)
    lab.fork()
    assert lab.forked is not None
    assert trace.diff(lab.forked).shared == len(trace)
    assert repr(lab) == "<Lab of run.dia2trace: The fork is the same run, call for call.>"
    assert lab.forked.run.forked_at == 9


def test_controls_become_edits(trace: Dia2Trace, tmp_path: Path) -> None:
    lab = trace.lab(engine("tiny4"), tmp_path)
    lab.call.value, lab.cfg.value, lab.temperature.value, lab.action.value = 8, 3.5, 1.2, "pad"
    wanted = [ChangeSampling(8, cfg_scale=3.5, temp_audio=1.2), ForceAction(8, "pad")]
    assert lab.edits() == wanted
    lab.seed.value = 7
    lab.button.click()
    forked = Dia2Trace.load(tmp_path / "fork-01.dia2trace")
    assert forked.run.edits == wanted
    assert forked.run.seed == 7
    assert lab.told.value.startswith("They part at call 8, by edit: none | cfg_scale = 3.5, temp_audio = 1.2")
    (shown,) = lab._shown.children
    assert (shown.trace, shown.other) == (trace, lab.forked)
    assert not lab.button.disabled
    lab.fork()
    assert (tmp_path / "fork-02.dia2trace").is_dir()


def test_a_line_stands_below_it_for_pages_that_cannot_show_it(trace: Dia2Trace) -> None:
    lab = trace.lab(engine("tiny4"))
    cell = cell_of(lab)
    kept = cell.outputs[1].data["text/html"]
    assert kept.startswith('<div class="dia2-instead"><div>')
    assert "</div><div>Lab of run.dia2trace: Choose a call" in kept
    assert "its controls need a kernel" in cell.outputs[1].data["text/html"]
    assert f'"view": "{lab.model_id}"' in cell.outputs[2].data["application/javascript"]  # the page shows the explorer
    lab.fork()
    (shown,) = lab._shown.children
    assert f'"cell": "{shown._cell}"' in cell.outputs[2].data["application/javascript"]  # the widget, where it is alive


def test_settings_changed_before_are_where_the_controls_begin(tmp_path: Path) -> None:
    edits = [ChangeSampling(5, cfg_scale=3.0)]
    engine("tiny4").generate(SCRIPT, seed=1, cfg_scale=2.0, trace=tmp_path / "run.dia2trace", edits=edits)
    lab = Dia2Trace.load(tmp_path / "run.dia2trace").lab(engine("tiny4"))
    lab.call.value, lab.cfg.value = 4, 2.0
    assert lab.edits() == []
    lab.call.value = 6
    assert lab.edits() == [ChangeSampling(6, cfg_scale=2.0)]


def test_what_fails_is_said(trace: Dia2Trace, tmp_path: Path) -> None:
    folder = tmp_path / "forks"
    folder.mkdir()
    lab = trace.lab(engine("tiny4"), folder)
    folder.rmdir()
    lab.fork()
    assert "does not exist" in lab.told.value
    assert lab.forked is None
    assert not lab.button.disabled


def test_a_lab_needs_a_folder_calls_and_the_right_checkpoint(trace: Dia2Trace, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        trace.lab(engine("tiny4"), tmp_path / "none")
    with pytest.raises(UsageError, match="another checkpoint"):
        trace.lab(engine("tiny8"))
    edit = ReplaceToken(3, 10**6, codebook=1)
    with pytest.raises(UsageError):
        engine("tiny4").generate(SCRIPT, seed=1, trace=tmp_path / "run.dia2trace", edits=[edit])
    with pytest.raises(TraceError):
        Dia2Trace.load(tmp_path / "run.dia2trace").lab(engine("tiny4"))


def test_a_slider_for_each_direction(trace: Dia2Trace, tmp_path: Path) -> None:
    width = engine("tiny4").runtime.config.model.decoder.n_embd
    voice = Steer("act.0.resid", torch.ones(width), 0.5, where=Where(branches="conditional"))
    lab = trace.lab(engine("tiny4"), tmp_path, steer={"voice": voice, "pace": Steer("act.hidden", torch.ones(width))})
    assert (lab.voice.value, lab.voice.min, lab.voice.max) == (0.0, -2.0, 2.0)
    assert lab.edits() == []
    lab.call.value, lab.voice.value = 5, -1.5
    assert lab.edits() == [replace(voice, scale=-0.75)]
    lab.fork()
    forked = Dia2Trace.load(tmp_path / "fork-01.dia2trace")
    assert forked.run.edits == [from_call(replace(voice, scale=-0.75), 5)]
    assert "by edit: none | act.0.resid + -0.75" in lab.told.value
    assert lab._shown.children[0].other is lab.forked


@pytest.mark.parametrize("name", ["", "call", "seed", "cfg", 3])
def test_a_direction_needs_a_name_of_its_own(trace: Dia2Trace, name: Any) -> None:
    with pytest.raises(UsageError, match="A control cannot be called"):
        trace.lab(engine("tiny4"), steer={name: Steer("act.hidden", [1.0])})


def test_a_lab_steers_by_steers(trace: Dia2Trace) -> None:
    with pytest.raises(UsageError, match="A lab steers by edits such as"):
        trace.lab(engine("tiny4"), steer={"off": Ablate("act.hidden")})


def test_a_direction_that_does_not_fit_is_said(trace: Dia2Trace) -> None:
    lab = trace.lab(engine("tiny4"), steer={"voice": Steer("act.hidden", [1.0])})
    lab.voice.value = 1
    lab.fork()
    assert lab.forked is None
    assert "act.hidden" in lab.told.value
