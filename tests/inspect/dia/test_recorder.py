"""Recording Dia: what a trace keeps under levels, filters and budgets, and whatever ends the run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dia import capture as buffers
from dia.adapter.rows import ROWS
from dia.adapter.trace import DiaTrace
from dia.cli import main
from dia.codec import DacCodec
from dia.generation import GenerationInterrupted
from dia.layers import Decoder
from dia.model import Dia
from dia2.common.errors import TraceError, UsageError
from dia2.inspect import Dia2Trace, load, record
from dia2.inspect.record import recorder
from dia2.inspect.schema.row import FilledRow
from dia2.inspect.store.layout import MANIFEST, PHASES_FILE

from ...support.dia import DiaCase, dia5, toy
from ...support.reference import engine
from ...support.traces import recorded_dia

SCRIPT = "[S1] Hello. [S2] You?"
OPTIONS: dict[str, Any] = {"max_tokens": 40, "seed": 3}


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step is handed over at once, and every fourth ends a shard."""
    monkeypatch.setattr(recorder, "SHARD_CALLS", 4)
    monkeypatch.setattr(buffers, "LATEST", 0.0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> DiaTrace:
    """The run that nothing happens to."""
    path = tmp_path_factory.mktemp("whole") / "run.dia2trace"
    toy().speak(SCRIPT, trace=path, **OPTIONS)
    return DiaTrace.load(path)


def interrupting(step: int, error: BaseException) -> Callable[[int], None]:
    """A progress callback that raises after some steps."""

    def progress(steps: int) -> None:
        if steps == step:
            raise error

    return progress


def check_beginning(trace: DiaTrace, whole: DiaTrace, calls: int) -> None:
    assert len(trace) == calls
    for name in ("tokens", "written", "drawn", "countdown"):
        assert np.array_equal(getattr(trace, name), getattr(whole, name)[:calls])


# Whatever ends a run


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("step", [1, 18, 30])
def test_ctrl_c_leaves_every_step_and_what_is_whole(tmp_path: Path, whole: DiaTrace, step: int) -> None:
    with pytest.raises(GenerationInterrupted) as caught:
        toy().speak(SCRIPT, trace=tmp_path / "run", progress=interrupting(step, KeyboardInterrupt()), **OPTIONS)
    trace, spoken = DiaTrace.load(tmp_path / "run"), caught.value.result.scripts[0]
    assert spoken.waveform is not None
    assert trace.state == "partial: interrupted by the user"
    check_beginning(trace, whole, step)
    assert trace.result.steps == step
    assert trace.result.stop_reasons == [spoken.stop_reason]
    assert np.array_equal(trace.codes(), spoken.codes.numpy())
    sound = trace.audio()
    assert (0 if sound is None else len(sound[0])) == len(spoken.waveform)
    assert {row.row.number: row.status for row in trace.rows()}[10] == ("done" if step == 30 else "not run")


def test_a_run_that_was_interrupted_and_went_on_elsewhere_is_partial(tmp_path: Path) -> None:
    with record(tmp_path / "run"), pytest.raises(GenerationInterrupted):  # as the command line does
        toy().speak(SCRIPT, progress=interrupting(5, KeyboardInterrupt()), **OPTIONS)
    assert DiaTrace.load(tmp_path / "run").manifest.status == "interrupted"


@pytest.mark.usefixtures("small_shards")
def test_an_exception_in_the_model_leaves_every_finished_step(
    tmp_path: Path, whole: DiaTrace, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits, calls = Decoder.logits, []

    def failing(self: Decoder, hidden: torch.Tensor) -> torch.Tensor:
        calls.append(hidden.shape)
        if len(calls) == 12:
            raise RuntimeError("the model \x1b[31m fell\nover")
        return logits(self, hidden)

    monkeypatch.setattr(Decoder, "logits", failing)
    with pytest.raises(RuntimeError, match="fell"):
        toy().speak(SCRIPT, trace=tmp_path / "run", **OPTIONS)
    trace = DiaTrace.load(tmp_path / "run")
    assert trace.manifest.status == "failed"
    assert trace.state.startswith("partial: RuntimeError: the model")
    assert trace.state.isprintable()
    check_beginning(trace, whole, 11)
    assert trace.result.lengths is None
    assert trace.codes().shape == (0, trace.model.channels)  # no frame is whole yet
    rows = {row.row.number: row for row in trace.rows()}
    assert rows[8].status == "failed"
    assert rows[12].note == f"the trace ends before it ({trace.state})"


def test_a_run_that_is_refused_leaves_nothing(tmp_path: Path) -> None:
    bad: list[tuple[str, dict[str, Any]]] = [
        ("  ", {}),
        (SCRIPT, {"max_tokens": 1}),
        (SCRIPT, {"audio_prompt": "nowhere.wav"}),
    ]
    for script, options in bad:
        with pytest.raises(UsageError):
            toy().speak(script, trace=tmp_path / "run", **options)
    assert list(tmp_path.iterdir()) == []


def test_an_exception_before_the_first_row_leaves_the_phases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr("dia.text._encode", broken)
    with pytest.raises(ZeroDivisionError):
        toy().speak(SCRIPT, trace=tmp_path / "run")
    trace = DiaTrace.load(tmp_path / "run")
    assert isinstance(trace, DiaTrace)
    assert len(trace) == 0
    assert [run.name for run in trace.phases] == ["dia.text"]
    assert trace.rows()[1].status == "failed"
    for question in (lambda: trace.run, trace.grid, trace.codes, lambda: trace.draws(0)):
        with pytest.raises(TraceError, match=r"holds no calls|no call"):
            question()


def test_a_killed_run_keeps_its_shards(tmp_path: Path, whole: DiaTrace) -> None:
    """What a kill leaves: the manifest of the beginning, and a line cut short."""
    seen = list[DiaTrace]()

    def kill(steps: int) -> None:
        if steps == 17:
            seen.append(DiaTrace.load(tmp_path / "run"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorder, "SHARD_CALLS", 4)
        patch.setattr(buffers, "LATEST", 0.0)
        toy().speak(SCRIPT, trace=tmp_path / "run", progress=kill, **OPTIONS)
    (trace,) = seen
    assert trace.state == "partial: the run was killed, or still runs"
    check_beginning(trace, whole, 16)
    rows = {row.row.number: row for row in trace.rows()}
    assert rows[8].status == "not finished"
    assert rows[8].mutations == "rows 1 … 16 written, self-attention KV 0 → 16 slots"


def test_a_full_disk_ends_the_trace_and_not_the_run(
    tmp_path: Path, whole: DiaTrace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recorder, "SHARD_CALLS", 4)
    monkeypatch.setattr(buffers, "LATEST", 0.0)
    with record(tmp_path / "run") as recording:
        writer = recording._sink.writer
        write, name = writer.shard, tmp_path / "run" / "frames-00002.safetensors"

        def full(columns: Any) -> None:
            if writer.shards == 2:
                name.mkdir()  # nothing can be written there
            write(columns)

        monkeypatch.setattr(writer, "shard", full)
        result = toy().speak(SCRIPT, **OPTIONS)
    assert len(result.scripts[0].codes) == len(whole.codes())
    assert "the trace ends at call 8" in caplog.text
    name.rmdir()
    trace = DiaTrace.load(tmp_path / "run")
    assert trace.manifest.status == "failed"
    check_beginning(trace, whole, 8)


# Filters, budgets, models


def test_over_its_budget_a_trace_keeps_the_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "SHARD_CALLS", 8)
    monkeypatch.setattr(buffers, "LATEST", 0.0)
    with record(tmp_path / "run", level="full", budget=60_000):
        toy().speak(SCRIPT, **OPTIONS)
    trace = DiaTrace.load(tmp_path / "run")
    start = trace.manifest.tokens_only_from
    assert start is not None
    assert 0 < start < len(trace)
    assert trace.complete
    assert trace.draws(start - 1)
    assert not trace.draws(start)
    assert trace.logits(start) is None


@pytest.mark.parametrize("wanted", ["draw.channel.3", "draw.channel.3,draw.channel.0,eos.countdown"])
def test_a_filter_leaves_draws_out(tmp_path: Path, wanted: str) -> None:
    with record(tmp_path / "run", hooks=wanted):
        dia5().speak(["[S1] A", "[S2] B"], **OPTIONS)
    trace, full = DiaTrace.load(tmp_path / "run"), tmp_path / "full"
    names = sorted(name.removeprefix("draw.") for name in wanted.split(",") if name.startswith("draw."))
    assert trace.manifest.draws == names
    assert trace.manifest.never_fired == []
    assert not trace.phases
    assert trace.complete
    dia5().speak(["[S1] A", "[S2] B"], trace=full, **OPTIONS)
    for script in (0, 1):
        every = {draw.name: draw for draw in DiaTrace.load(full).draws(7, script)}
        assert trace.draws(7, script) == [every[name] for name in names]
    assert trace.rows()[1].note == "not recorded: the hook filter leaves it out"
    assert trace.rows()[8].status == "done"  # of the columns, which are always kept


def test_a_filter_of_the_other_models_points_is_noted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with record(tmp_path / "run", hooks="logits.cb0,machine.*", level="full"):
        dia5().speak(SCRIPT, **OPTIONS)
    assert "names points of another model than Dia" in caplog.text
    trace = DiaTrace.load(tmp_path / "run")
    assert trace.complete
    assert trace.manifest.never_fired == []
    assert trace.logits(5) is None
    caplog.clear()
    with record(tmp_path / "two", hooks="draw.channel.*,dia.loop"):
        engine("tiny4").generate("[S1] Hi.", seed=1)
    assert "names points of another model than Dia2" in caplog.text
    with (
        pytest.raises(UsageError, match=r"No hook point is called 'draw.channel.40'"),
        record(tmp_path / "b", hooks="draw.channel.40"),
    ):
        dia5().speak(SCRIPT, **OPTIONS)


def test_what_never_fired_is_of_the_runs_own_model(tmp_path: Path) -> None:
    dia = DiaTrace.load(recorded_dia())
    assert dia.manifest.never_fired == ["dia.load", "dia.write"]
    with record(tmp_path / "run", hooks="*"):
        engine("tiny4").generate("[S1] Hi.", seed=1)
    missing = load(tmp_path / "run").manifest.never_fired
    assert missing
    assert not any(name.startswith(("dia.", "encoder.", "eos.", "kv.self", "kv.cross")) for name in missing)


def test_one_run_a_trace_and_one_model(tmp_path: Path) -> None:
    def dia() -> None:
        dia5().speak(SCRIPT, **OPTIONS)

    def dia2() -> None:
        engine("tiny4").generate("[S1] Hi.", seed=1)

    for number, (first, second, why, kind) in enumerate(
        (
            (dia, dia, "holds a run already", DiaTrace),
            (dia2, dia2, "holds a run already", Dia2Trace),
            (dia, dia2, "records Dia: record a run of Dia2 to a trace of its own", DiaTrace),
            (dia2, dia, "records Dia2: record a run of Dia to a trace of its own", Dia2Trace),
        )
    ):
        path = tmp_path / str(number)
        with record(path):
            first()
            with pytest.raises(UsageError, match=why):
                second()
        trace: Any = load(path)
        assert isinstance(trace, kind)
        assert trace.complete
        assert len(trace) > 0


def test_nothing_generated_is_a_failed_trace(tmp_path: Path) -> None:
    with record(tmp_path / "run"):
        pass
    assert load(tmp_path / "run").state == "partial: nothing was generated"


def test_more_scripts_than_a_trace_holds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="A trace holds 128 scripts"):
        dia5().speak(["[S1] A"] * 129, max_tokens=10, seed=1, trace=tmp_path / "run")


def test_a_trace_takes_the_place_of_another_models(tmp_path: Path) -> None:
    dia5().speak(["[S1] A", "[S1] B"], trace=tmp_path / "run", **OPTIONS)
    with record(tmp_path / "run", level="full"):
        toy().speak(["[S1] A", "[S1] B"], **OPTIONS)
    engine("tiny4").generate("[S1] Hi.", seed=1, trace=tmp_path / "run")
    assert isinstance(load(tmp_path / "run"), Dia2Trace)
    assert not {path.name for path in (tmp_path / "run").iterdir()} & {"audio-1.flac", "encoder.safetensors"}


# The thirteen rows


def filled(trace: DiaTrace) -> dict[int, FilledRow]:
    return {row.row.number: row for row in trace.rows()}


def test_the_rows_are_functions_that_there_are() -> None:
    assert [row.number for row in ROWS] == list(range(1, 14))
    for row in ROWS:
        module, name = row.where.removesuffix("()").split(" → ")
        assert (Path(__file__).parents[3] / module).is_file()
        found: Any = __import__(module.removesuffix(".py").replace("/", "."), fromlist=["x"])
        for part in name.split("."):
            found = getattr(found, part)
        assert found == row.function
        if row.number not in (8, 9, 10):  # which run inside the loop
            assert getattr(found, "phase", None) == row.phase


def test_every_row_of_a_run_with_prompts_is_filled() -> None:
    rows = filled(DiaTrace.load(recorded_dia()))
    assert {number for number, row in rows.items() if row.status != "done"} == {1, 13}
    assert rows[1].note == "the checkpoint was loaded before the recording began"
    assert rows[13].note == "called from Python: no output file was named"
    assert rows[2].trigger == "2 scripts: “[S1] Hello. [S2] You? | [S2] Oh.”"
    assert rows[2].outputs == "bytes [2, 15], of text 15, 5"
    assert rows[4].outputs == "KV [4, 4, 15, 16] a layer"
    assert rows[5].trigger == "codes [7, 9]; codes [3, 9]"
    assert rows[7].mutations == "one pass: self-attention KV 0 → 3 slots"
    assert rows[8].mutations == "rows 4 … 39 written, self-attention KV 3 → 39 slots"
    assert rows[9].outputs.startswith("648 draws, ")
    assert "script 1 at row 25" in rows[10].trigger
    assert rows[12].outputs.count("samples") == 2
    for number, row in rows.items():
        if row.status == "done":
            assert row.trigger, number
            assert row.mutations, number
            assert row.outputs, number
            assert (row.seconds is None) == (number in (9, 10))


def test_rows_that_were_not_run_say_why(tmp_path: Path, whole: DiaTrace) -> None:
    rows = filled(whole)
    assert rows[5].note == "no prompt was given"
    assert rows[7].note == "nothing to prefill: no prompt was given, so the loop begins with row 0"
    prompts = [*(DiaCase("prompt").prompts or []), None]
    dia5().speak(["[S1] A", "[S2] B"], audio_prompt=prompts, trace=tmp_path / "run", **OPTIONS)
    rows = filled(DiaTrace.load(tmp_path / "run"))
    assert rows[5].status == "done"
    assert rows[7].note == "nothing to prefill: a script has no prompt, so the loop begins with row 0"
    assert rows[12].note == "codes only: the checkpoint was loaded without its codec"
    assert DiaTrace.load(tmp_path / "run").audio(1) is None


def test_the_command_line_records_all_rows_but_the_prompt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["generate", "[S1] Hello.", "-o", "a.wav", "--max-tokens", "40", "--seed", "1", "--device", "cpu"]
    assert main([*command, "--trace", "run.dia2trace", "--trace-level", "full", "--quiet"]) == 0
    trace = DiaTrace.load("run.dia2trace")
    assert trace.complete
    rows = filled(trace)
    assert {number for number, row in rows.items() if row.status == "not run"} == {5, 7}
    assert rows[1].trigger == "dia/toy/config.json, dia/toy/model.safetensors"
    assert rows[1].mutations == "builds the modules, fills them, loads DAC dia/toy/dac"
    assert rows[13].outputs == "a.wav"
    assert trace.manifest.never_fired == []
    text = (Path("run.dia2trace") / PHASES_FILE).read_text() + (Path("run.dia2trace") / MANIFEST).read_text()
    assert str(Path(__file__).parents[3]) not in text  # not where the package lies
    assert isinstance(Dia.toy(device="cpu").codec, DacCodec)
    content = json.loads((Path("run.dia2trace") / MANIFEST).read_text())
    assert list(content)[:3] == ["format", "version", "family"]
