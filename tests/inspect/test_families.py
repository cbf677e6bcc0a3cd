"""What goes with runs of one model only says so in a sentence when it is given the other's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dia.adapter.trace import DiaTrace
from dia2.adapter.fork import fork
from dia2.adapter.replay import replay
from dia2.common.errors import Dia2Error, TraceError, UsageError
from dia2.inspect import Dia2Trace, follow, load, plots, sweep
from dia2.inspect.lab.controls import Lab
from dia2.runtime.edits import ForceAction

from ..support.dia import toy
from ..support.reference import engine
from ..support.traces import recorded_dia, recorded_quickly


def of_dia2() -> Any:
    return load(recorded_quickly())


def of_dia() -> Any:
    return load(recorded_dia())


OTHERS: dict[str, Callable[[Any], Any]] = {
    "streams": lambda trace: plots.streams(trace),
    "attention": lambda trace: plots.attention(trace, engine("tiny3"), 0, 0),
    "sweep's plot": lambda trace: plots.sweep(trace),
    "lab": lambda trace: Lab(trace, engine("tiny3")),
    "trace.lab": lambda trace: trace.lab(engine("tiny3")),
    "fork": lambda trace: fork(trace, engine("tiny3"), 20),
    "trace.fork": lambda trace: trace.fork(engine("tiny3"), 20),
    "replay": lambda trace: replay(trace, engine("tiny3")),
    "trace.replay": lambda trace: trace.replay(engine("tiny3")),
    "diagnose": lambda trace: trace.diagnose(),
    "words": lambda trace: trace.words,
    "frames": lambda trace: trace.frames[0],
    "diff": lambda trace: trace.diff(of_dia2()),
    "difference from it": lambda trace: of_dia2().diff(trace),
    "explore beside it": lambda trace: of_dia2().explore(trace),
    "codebooks apart": lambda trace: trace.to_html("never.html", tts=engine("tiny3")),
}


@pytest.mark.parametrize("name", OTHERS)
def test_given_a_trace_of_dia_it_says_which_it_needs(name: str) -> None:
    with pytest.raises(Dia2Error, match=r"\bDia2?\b") as told:
        OTHERS[name](of_dia())
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 300


ENGINES: dict[str, Callable[[Any, Path], Any]] = {
    "sweep": lambda dia, folder: sweep(dia, "[S1] Hi.", folder / "runs"),
    "lab": lambda dia, _: of_dia2().lab(dia),
    "fork": lambda dia, _: of_dia2().fork(dia, 40),
    "replay": lambda dia, _: of_dia2().replay(dia),
    "attention": lambda dia, _: plots.attention(of_dia2(), dia, 0, 0),
    "explore": lambda dia, _: of_dia2().explore(tts=dia),
    "to_html": lambda dia, folder: of_dia2().to_html(folder / "run.html", tts=dia, books=[[0]]),
}


@pytest.mark.parametrize("name", ENGINES)
def test_given_an_engine_of_dia_it_needs_a_dia2(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"needs a Dia2, .* not a Dia"):
        ENGINES[name](toy(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_replay_of_dia_needs_a_dia() -> None:
    with pytest.raises(UsageError, match="is a trace of Dia: replay it by a Dia, not"):
        of_dia().replay(engine("tiny3"))


def test_what_is_no_trace_is_told_to_be_opened() -> None:
    with pytest.raises(UsageError, match=r"plots\.grid needs a trace, not 'run\.dia2trace': open one by"):
        plots.grid("run.dia2trace")  # type: ignore[arg-type]


PLOTS: dict[str, Callable[[Any], Any]] = {
    "grid": lambda trace: plots.grid(trace),
    "candidates": lambda trace: plots.candidates(trace, 38),
    "kv_growth": lambda trace: plots.kv_growth(trace),
    "waveform": lambda trace: plots.waveform(trace),
}


@pytest.mark.parametrize("name", PLOTS)
def test_plots_of_what_every_run_has_draw_either_family(name: str) -> None:
    told = [plots.describe(PLOTS[name](trace)) for trace in (of_dia2(), of_dia())]
    assert len({line.split()[0].rstrip(":") for line in told}) == 1, "the same plot"
    assert told[0] != told[1]


def test_names_that_neither_trace_has_stay_attribute_errors() -> None:
    for trace in (of_dia2(), of_dia()):
        with pytest.raises(AttributeError) as told:
            getattr(trace, "nothing_of_the_kind")  # noqa: B009
        assert not isinstance(told.value, Dia2Error)
        assert not hasattr(trace, "_repr_html_")
    assert not hasattr(of_dia(), "words")  # both: an error of ours, and of Python
    with pytest.raises(TraceError, match=r"is a trace of Dia2, and 'countdown' is of Dia's only"):
        _ = of_dia2().countdown


def test_a_run_of_dia_can_be_followed(tmp_path: Path) -> None:
    with follow(tmp_path / "run.dia2trace") as explorer:
        toy().speak("[S1] Hi.", seed=1, max_tokens=20)
    assert isinstance(explorer.trace, DiaTrace)


CALLS = [np.int64(37), torch.tensor(37)]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: type(call).__name__)
def test_a_call_is_any_whole_scalar(call: Any, tmp_path: Path) -> None:
    trace, plain = of_dia2(), of_dia2().frame(37)
    assert trace.frames[call] == trace.frame(call) == plain
    assert type(trace.frame(call).call) is int
    assert trace.frames[call - 1 : call] == [trace.frame(36)]
    assert trace.machine_at(call) == plain.machine
    assert (trace.queue_at(call), trace.draws(call)) == (trace.queue_at(37), plain.draws)
    assert trace.find("step", plain.step, after=call - 1) == trace.find("step", plain.step, after=36)
    assert trace.replay(engine("tiny3"), [call, call + 1]).calls == [37, 38]
    assert trace.replay(engine("tiny3"), call).calls == [37]
    assert trace.explore(call=call).call == 37
    assert '{"call": 37}' in trace.to_html(tmp_path / "run.html", call=call).read_text(encoding="utf-8")
    assert plots.describe(plots.candidates(trace, call)) == plots.describe(plots.candidates(trace, 37))
    assert plots.describe(plots.streams(trace, call, call + 1)) == plots.describe(plots.streams(trace, 37, 38))
    edit = ForceAction(call, "pad")
    path = tmp_path / "fork.dia2trace"
    trace.fork(engine("tiny3"), call, edits=[edit], seed=call, path=path)
    forked = Dia2Trace.load(path)
    assert (forked.run.forked_at, forked.run.seed, forked.run.edits[-1]) == (37, 37, ForceAction(37, "pad"))


def test_attention_and_hidden_states_are_computed_where_they_are_asked_for() -> None:
    found = of_dia2().replay(engine("tiny3"), [36])
    assert (found.attention, found.depformer_attention, found.layers, found.depformer_layers) == ([], [], [], [])
    assert of_dia().replay(toy(), [20]).self_attention == []


def test_calls_come_in_arrays_and_ranges() -> None:
    trace = of_dia2()
    for calls in (range(36, 38), np.arange(36, 38), torch.arange(36, 38), [np.int8(36), 37], slice(np.int64(36), 38)):
        found = trace.replay(engine("tiny3"), calls).calls
        assert (found, {type(call) for call in found}) == ([36, 37], {int})
    assert of_dia().replay(toy(), np.arange(20, 22), scripts=np.arange(1)).calls == [20, 21]


@pytest.mark.parametrize("call", [True, 2.5, 3.0, np.array([3]), torch.tensor(float("nan")), "3", None])
def test_what_is_no_call_is_refused(call: Any) -> None:
    trace = of_dia2()
    for asked in (
        trace.frame,
        trace.draws,
        lambda call: trace.frames[call],
        lambda call: trace.fork(engine("tiny3"), call),
    ):
        with pytest.raises(UsageError, match="A call is a whole number"):
            asked(call)


def test_sweeps_go_through_arrays(tmp_path: Path) -> None:
    swept: Any = sweep
    made = swept(
        engine("tiny3"),
        "[S1] Hi.",
        tmp_path,
        seeds=np.arange(2),
        cfg_scales=torch.tensor([1.0]),
        temperatures=np.array([0.75]),
    )
    assert [(v.seed, v.cfg_scale, v.temperature) for v in made.variants] == [(0, 1.0, 0.75), (1, 1.0, 0.75)]
    assert {type(v.seed) for v in made.variants} == {int}
    assert len(list((tmp_path / "traces").iterdir())) == 2
    for seeds in (5, "12", np.int64(3), [np.nan], [True], [None], np.arange(4).reshape(2, 2)):
        with pytest.raises(UsageError):
            swept(engine("tiny3"), "[S1] Hi.", tmp_path, seeds=seeds)
