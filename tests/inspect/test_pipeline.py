"""The thirty rows: every one is filled by the seed's own command, and a row that a run skips says why."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from dia2 import PrefixConfig
from dia2.adapter.rows import ROWS
from dia2.cli import main
from dia2.common.hooks import PHASES
from dia2.inspect import Dia2Trace, record

from ..support.reference import ROOT, Case, engine, local_files
from ..support.seeds_line import run_seeds_line, write_inputs

# What the seed's table cites, row by row; rows 9, 10, 17, 18, 20, 21, 22, 27 and 30 name a caller there.
CITED = {
    1: ("dia2/cli.py", "main"),
    3: ("dia2/generation.py", "load_script_text"),
    4: ("dia2/generation.py", "validate_generation_params"),
    5: ("dia2/generation.py", "build_generation_config"),
    7: ("dia2/engine.py", "Dia2._ensure_runtime"),
    8: ("dia2/runtime/context.py", "build_runtime"),
    12: ("dia2/generation.py", "normalize_script"),
    13: ("dia2/runtime/voice_clone.py", "build_prefix_plan"),
    15: ("dia2/runtime/voice_clone.py", "words_to_entries"),
    19: ("dia2/runtime/script_parser.py", "parse_script"),
    22: ("dia2/runtime/state_machine.py", "StateMachine.new_state"),
    23: ("dia2/runtime/generator.py", "build_initial_state"),
    24: ("dia2/runtime/generator.py", "warmup_with_prefix"),
    25: ("dia2/runtime/generator.py", "run_generation_loop"),
    26: ("dia2/audio/grid.py", "undelay_frames"),
    28: ("dia2/runtime/generator.py", "decode_audio"),
    29: ("dia2/audio/grid.py", "write_wav"),
}


def test_there_are_thirty_rows_and_each_names_a_function_that_is_there() -> None:
    assert [row.number for row in ROWS] == list(range(1, 31))
    for row in ROWS:
        function = inspect.unwrap(row.function)
        found: object = importlib.import_module(function.__module__)
        for part in function.__qualname__.split("."):
            found = getattr(found, part)
        assert inspect.unwrap(found) is function  # type: ignore[arg-type]  # a function
        assert row.phase in PHASES
        if row.number != 1:  # main() is over before anyone can look; it tells of its parsing afterwards
            assert row.function.phase == row.phase  # type: ignore[attr-defined]  # set by the decorator
    where = {row.number: tuple(row.where.removesuffix("()").split(" → ")) for row in ROWS}
    assert {number: where[number] for number in CITED} == CITED


def check_thirty_rows(trace: Dia2Trace) -> None:
    assert trace.complete
    assert trace.manifest.never_fired == []
    for filled in trace.rows():
        cells = (filled.trigger, filled.before, filled.mutations, filled.outputs)
        assert filled.status == "done", f"row {filled.row.number}: {filled.note}"
        assert all(cells), f"row {filled.row.number} has an empty cell: {cells}"
        assert filled.seconds is not None
        assert filled.seconds > 0


def test_a_local_checkpoint_fills_all_thirty_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whisper = str(write_inputs(tmp_path))
    monkeypatch.chdir(tmp_path)
    files = local_files("tiny4")
    line = f"--config {files['config_path']} --weights {files['weights_path']} --tokenizer {files['tokenizer_id']}"
    line += f" --mimi {files['mimi_id']} --prefix-speaker-1 a.wav --prefix-speaker-2 b.wav --whisper {whisper}"
    assert main([*line.split(), "--cuda-graph", "--verbose", "--trace", "run.dia2trace", "out.wav"]) == 0
    check_thirty_rows(Dia2Trace.load(tmp_path / "run.dia2trace"))


@pytest.mark.slow
def test_the_seeds_line_fills_all_thirty_rows(tmp_path: Path) -> None:
    run = run_seeds_line(tmp_path, "--trace", "run.dia2trace")
    assert run.returncode == 0, run.stderr
    assert "dia2: prefix: 6 words, " in run.stderr
    assert "Hello" in run.stdout
    assert soundfile.info(tmp_path / "output_conditioned.wav").samplerate == 24000
    trace = Dia2Trace.load(tmp_path / "run.dia2trace")
    check_thirty_rows(trace)
    rows = {filled.row.number: filled for filled in trace.rows()}
    assert "--cuda-graph --verbose output_conditioned.wav" in rows[1].trigger
    assert "--trace run.dia2trace" in rows[1].trigger
    assert rows[2].trigger == "nari-labs/Dia2-2B"
    assert rows[14].mutations == "loads Whisper, transcribes"
    assert "1 pass over 33 frames instead of as many steps" in rows[24].mutations
    assert rows[29].outputs == "output_conditioned.wav"


def notes(trace: Dia2Trace) -> dict[int, str]:
    return {filled.row.number: filled.note for filled in trace.rows() if filled.status == "not run"}


def test_a_run_from_python_says_what_it_had_no_need_of(tmp_path: Path) -> None:
    case = Case("tiny4", "prefix1")
    assert engine("tiny4").runtime is not None  # loaded before
    engine("tiny4").generate(case.expected["script"], case.config(), trace=tmp_path / "run.dia2trace")
    found = notes(Dia2Trace.load(tmp_path / "run.dia2trace"))
    assert {number for number in found if found[number] == "called from Python, not from the command line"} == {
        *(1, 3, 4, 5, 6)
    }
    assert found[2] == "the engine was made before the recording began"
    assert {found[number] for number in (8, 9, 10)} == {"the checkpoint was loaded already"}
    assert found[14] == "words were given, so Whisper was not asked"
    assert found[17] == "there is no second speaker"
    assert found[29] == "no output file was named"
    assert set(found) == {1, 2, 3, 4, 5, 6, 8, 9, 10, 14, 17, 29}


def test_a_run_without_prefix_says_so(tmp_path: Path) -> None:
    engine("tiny4").generate("[S1] Hello.", seed=1, trace=tmp_path / "run.dia2trace", output_wav=tmp_path / "out.wav")
    found = notes(Dia2Trace.load(tmp_path / "run.dia2trace"))
    assert {found[number] for number in (14, 15, 16, 17, 18, 24)} == {"no prefix was given"}
    assert 13 not in found  # it was asked, and found nothing to do
    assert 29 not in found


def test_a_voice_file_needs_no_encoder(tmp_path: Path) -> None:
    tts, tiny4 = engine("tiny4"), ROOT / "tiny4"
    tts.save_voice(tiny4 / "spk1.wav", tmp_path / "a.voice", words=tiny4 / "spk1.words.json")
    prefix = PrefixConfig(speaker_1=tmp_path / "a.voice")
    tts.generate("[S1] Hello.", seed=1, prefix=prefix, trace=tmp_path / "run.dia2trace")
    trace = Dia2Trace.load(tmp_path / "run.dia2trace")
    assert notes(trace)[16] == "a .voice file holds the codes"
    assert trace.diagnose().measured


def test_a_streamed_run_says_so(tmp_path: Path) -> None:
    with record(tmp_path / "run.dia2trace"):
        pieces = [piece.waveform for piece in engine("tiny4").stream("[S1] Hello there.", seed=1)]
    trace = Dia2Trace.load(tmp_path / "run.dia2trace")
    found = notes(trace)
    assert {found[number] for number in (25, 26)} == {"streamed: done piece by piece"}
    assert trace.audio is not None, "all that was heard is kept"
    np.testing.assert_allclose(trace.audio[0], torch.cat(pieces).numpy(), atol=2**-15)
    assert len(trace) > 10
    assert [word.text for word in trace.words if word.call is not None] == ["Hello", "there."]


@pytest.mark.slow
def test_a_fork_says_what_it_took_over(tmp_path: Path) -> None:
    case = Case("tiny4", "prefix2")
    engine("tiny4").generate(case.expected["script"], case.config(seed=1), trace=tmp_path / "a.dia2trace")
    Dia2Trace.load(tmp_path / "a.dia2trace").fork(engine("tiny4"), 50, path=tmp_path / "b.dia2trace")
    found = notes(Dia2Trace.load(tmp_path / "b.dia2trace"))
    assert {found[number] for number in (11, 12, 13, 14, 15, 16, 17, 18, 19)} == {
        "the run was forked: this is taken from the trace it comes from"
    }


def test_a_filter_that_leaves_phases_out_says_so(tmp_path: Path) -> None:
    with record(tmp_path / "run.dia2trace", hooks="draw.*,loop"):
        engine("tiny4").generate("[S1] Hello.", seed=1)
    filled = {row.row.number: row for row in Dia2Trace.load(tmp_path / "run.dia2trace").rows()}
    assert filled[25].status == "done"
    assert filled[26].note == "not recorded: the hook filter leaves it out"


def test_a_run_that_fails_shows_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the decoder broke")

    monkeypatch.setattr(engine("tiny4").runtime.mimi, "decode", broken)
    with pytest.raises(RuntimeError, match="broke"):
        engine("tiny4").generate("[S1] Hello.", seed=1, trace=tmp_path / "run.dia2trace")
    trace = Dia2Trace.load(tmp_path / "run.dia2trace")
    filled = {row.row.number: row for row in trace.rows()}
    assert filled[27].status == "done"
    assert (filled[28].status, filled[28].note) == ("failed", "RuntimeError: the decoder broke")
    assert filled[29].note == "the trace ends before it (partial: RuntimeError: the decoder broke)"


def test_the_command_line_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = local_files("tiny4")
    flags = ["--config", files["config_path"], "--weights", files["weights_path"]]
    flags += ["--tokenizer", files["tokenizer_id"], "--mimi", files["mimi_id"], "--device", "cpu", "--seed", "4"]
    path = tmp_path / "run.dia2trace"
    more = ["--trace", str(path), "--trace-level", "full", "--trace-hooks", "logits.cb0,draw.action"]
    assert main([*flags, "--input", "Hello there.", *more, str(tmp_path / "out.wav")]) == 0
    trace = Dia2Trace.load(path)
    assert trace.manifest.level == "full"
    assert trace.manifest.hooks == ["logits.cb0", "draw.action"]
    assert set(trace.logits(5)) == {"cb0"}
    assert [draw.name for draw in trace.draws(5)] == ["action"]
    capsys.readouterr()

    assert main([*flags, "--input", "Hi.", "--trace-level", "full", str(tmp_path / "out.wav")]) == 2
    assert "give --trace FOLDER too" in capsys.readouterr().err
    wrong = ["--trace", str(path), "--trace-hooks", "logits.cbo"]
    assert main([*flags, "--input", "Hi.", *wrong, str(tmp_path / "out.wav")]) == 2
    assert "No hook point is called 'logits.cbo'; `dia2 trace hooks` lists them." in capsys.readouterr().err
    assert Dia2Trace.load(path).manifest.level == "full"  # a mistake costs no older trace
