"""`dia2 trace` on runs of Dia, to the character."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import chdir
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from rich.console import Console

from dia import Dia
from dia import capture as buffers
from dia.adapter.origins import origins
from dia.adapter.trace import DiaTrace
from dia.audio import apply_audio_delay
from dia2.cli import main
from dia2.common.errors import TraceError, UsageError
from dia2.common.hooks import listed
from dia2.inspect import record
from dia2.inspect.record import recorder
from dia2.inspect.views.console import (
    choose_calls,
    frame_facts,
    frames_facts,
    grid_facts,
    hooks_facts,
    print_diff,
    print_frame,
    print_frames,
    print_grid,
    print_hooks,
    print_show,
    show_facts,
)

from ...support.dia import toy
from ...support.traces import recorded as recorded_of_dia2
from ...support.traces import with_manifest
from ..test_console_trace import HOSTILE, shown

SCRIPTS = ["[S1] Well.", "[S2] Oh, no. [S1] Yes."]
PROMPT = torch.arange(6 * 9).reshape(6, 9)  # [T, C]

# Wall times and the date are all that differs between two recordings.
VIEWS: dict[str, Callable[[Any, Console], None]] = {
    "show": lambda trace, console: print_show(trace, console, times=False, full=True),
    "frames": lambda trace, console: print_frames(trace, console, 0, len(trace) - 1, times=False),
    "frame": lambda trace, console: print_frame(trace, console, 30, script=1, times=False),
    "grid": lambda trace, console: print_grid(trace, console, script=1),
    "codes": lambda trace, console: print_grid(trace, console, codes=True),
    "hooks": lambda trace, console: print_hooks(console, trace),
}


@cache
def recorded() -> Path:
    """A batch of two, the second script with a prompt: the first ends by itself, the second by max_tokens."""
    path = Path(mkdtemp(prefix="dia2-test-")) / "run.dia2trace"
    with chdir(path.parent), record(path):
        dia = Dia.toy(device="cpu", compute_dtype="float32")
        result = dia.speak(SCRIPTS, audio_prompt=[None, PROMPT], temperature=0, seed=1, max_tokens=64)
        for number, spoken in enumerate(result.scripts, 1):
            assert spoken.waveform is not None
            dia.save_audio(f"pair-{number}.wav", spoken.waveform)
    return path


@cache
def recorded_alone() -> Path:
    """One script with a prompt and without a codec, at level `tokens`: a prefill, no draws, no sound."""
    path = Path(mkdtemp(prefix="dia2-test-")) / "run.dia2trace"
    dia = Dia.toy(device="cpu", compute_dtype="float32", load_dac=False)
    with record(path, level="tokens"):
        dia.speak(SCRIPTS[1], audio_prompt=PROMPT, temperature=0, seed=1, max_tokens=40)
    return path


@pytest.fixture(scope="module")
def trace() -> DiaTrace:
    found = DiaTrace.load(recorded())
    assert isinstance(found, DiaTrace)
    return found


def run(capsys: pytest.CaptureFixture[str], *flags: str) -> tuple[int, str, str]:
    """Exit code, standard output and error of `dia2 trace`."""
    code = main(["trace", *flags])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


# Text


def test_show() -> None:
    assert shown(VIEWS["show"], 80, recorded()) == SHOW


def test_show_of_one_script() -> None:
    text = shown(VIEWS["show"], 80, recorded_alone())
    assert text.startswith(SHOW_ALONE)


def test_frames_from_the_first_to_the_end() -> None:
    text = shown(lambda trace, console: print_frames(trace, console, 5, 9, script=1, times=False), 80, recorded())
    assert text == FRAMES_GIVEN
    text = shown(lambda trace, console: print_frames(trace, console, 22, 33, times=False), 80, recorded())
    assert text == FRAMES_AT_THE_END


def test_frames_of_a_prefill() -> None:
    text = shown(lambda trace, console: print_frames(trace, console, 0, 8, times=False), 80, recorded_alone())
    assert text == FRAMES_OF_A_PREFILL


def test_one_call_in_full() -> None:
    text = shown(lambda trace, console: print_frame(trace, console, 60, script=1, times=False), 80, recorded())
    assert text == CALL


@pytest.mark.parametrize(
    ("call", "script", "said"),
    [
        (22, 0, ""),
        (23, 0, "the end begins: channel 0 drew EOS; the other channels have 15 rows to finish"),
        (24, 0, "the end: row 2 of 15 of the countdown"),
        (37, 0, "the end: row 15 of 15 of the countdown"),
        (38, 0, "after the end: this script is written on while others run, and not heard"),
        (48, 1, "the end begins: no more rows are allowed; the other channels have 15 rows to finish"),
    ],
)
def test_a_call_says_where_in_the_end_it_is(call: int, script: int, said: str) -> None:
    text = shown(lambda trace, console: print_frame(trace, console, call, script=script), 100, recorded())
    assert text.splitlines()[2] == said


def test_one_call_of_a_prefill() -> None:
    text = shown(lambda trace, console: print_frame(trace, console, 2, times=False), 80, recorded_alone())
    assert text == CALL_OF_A_PREFILL


def test_grid() -> None:
    assert shown(lambda trace, console: print_grid(trace, console), 80, recorded()) == GRID_1
    assert shown(lambda trace, console: print_grid(trace, console, script=1), 80, recorded()) == GRID_2


def test_codes() -> None:
    text = shown(lambda trace, console: print_grid(trace, console, 8, script=1, codes=True), 80, recorded())
    assert text == CODES


def test_wall_times_end_the_lines_of_the_loop(trace: DiaTrace) -> None:
    lines = shown(lambda trace, console: print_frames(trace, console, 3, 5), 80, recorded()).splitlines()
    assert lines[1].endswith("kv    ms")
    assert [line.split()[-1] for line in lines[2:5]] == [f"{second * 1e3:.1f}" for second in trace.seconds[3:6]]


def test_diff(tmp_path: Path) -> None:
    dia = Dia.toy(device="cpu", compute_dtype="float32", load_dac=False)
    path = tmp_path / "run.dia2trace"
    with record(path, level="tokens"):
        dia.speak(SCRIPTS[1], audio_prompt=PROMPT, temperature=0, seed=1, max_tokens=40, cfg_scale=0)
    text = shown(lambda trace, console: print_diff(DiaTrace.load(recorded_alone()), trace, console), 80, path)
    assert text.replace(str(recorded_alone()), "other.dia2trace") == DIFF
    same = shown(lambda trace, console: print_diff(trace, trace, console), 80, path)
    assert same.endswith("The same run: 39 calls, every token and countdown.\n")


@pytest.mark.parametrize("width", [80, 100, 160, 240])
@pytest.mark.parametrize("view", VIEWS)
def test_no_line_is_wider_than_the_terminal(view: str, width: int) -> None:
    lines = shown(VIEWS[view], width, recorded()).splitlines()
    assert max(map(len, lines)) <= width
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("view", VIEWS)
def test_a_terminal_gets_styles_and_a_file_the_same_text_without(view: str) -> None:
    coloured = shown(VIEWS[view], 80, recorded(), colour=True)
    assert "\x1b[1m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == shown(VIEWS[view], 80, recorded())


def test_no_text_of_a_script_steers_the_terminal(tmp_path: Path) -> None:
    run_facts = json.loads((recorded() / "manifest.json").read_text(encoding="utf-8"))["run"]
    path = changed(tmp_path, run=run_facts | {"scripts": [HOSTILE, HOSTILE]})
    text = shown(VIEWS["show"], 80, path)
    assert "[bold]x[/]<script>" in text
    for attack in ("\x1b", "\x07", "\x9b", "\u202e", "\u200f", "\r"):
        assert attack not in text


def changed(folder: Path, **changes: Any) -> Path:
    """A copy of the trace with other values in its manifest."""
    return with_manifest(recorded(), folder, **changes)


def test_a_run_that_was_killed_is_shown_as_far_as_it_went(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "SHARD_CALLS", 5)
    monkeypatch.setattr(buffers, "LATEST", 0.0)
    path = tmp_path / "run.dia2trace"
    with record(path):
        toy().speak(SCRIPTS[0], temperature=0, seed=1, max_tokens=64)
    for file in sorted(path.glob("frames-*"))[2:]:
        file.unlink()
    manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    manifest |= {"status": "running", "result": None, "audio": None, "calls": 0}
    (path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    text = shown(VIEWS["show"], 80, path)
    assert text.startswith("✗ call 9: The trace ends before its run: the run was killed, or still runs. (1\nmore)\n")
    assert "\n  1  [S1] Well.\n     7 bytes\n" in text
    lines = shown(lambda trace, console: print_grid(trace, console, codes=False), 80, path).splitlines()
    assert lines[2:4] == ["ch0  +0   B##########", "ch1  +8   BBBBBBBBB##"]
    assert shown(VIEWS["frames"], 80, path).endswith("calls 0 … 9 of 0 … 9\n")


def broken(*_: object) -> NoReturn:
    raise RuntimeError("a fault of ours")


def test_a_run_that_never_began_has_rows_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.dia2trace"
    monkeypatch.setattr("dia.text._encode", broken)
    with pytest.raises(RuntimeError), record(path):
        Dia.toy(device="cpu", load_dac=False).speak("[S1] Hi.")
    facts = show_facts(DiaTrace.load(path))
    assert (facts["run"], facts["scripts"], facts["calls"]["all"]) == (None, [], 0)
    assert [row["status"] for row in facts["rows"]][:3] == ["done", "failed", "not run"]
    assert "\n  calls     0\n" in shown(VIEWS["show"], 80, path)
    for view in ("frames", "grid"):
        with pytest.raises(TraceError):
            shown(VIEWS[view], 80, path)


def test_a_filter_leaves_the_channels_that_it_names(tmp_path: Path) -> None:
    path = tmp_path / "run.dia2trace"
    with record(path, hooks="draw.channel.3"):
        Dia.toy(device="cpu", load_dac=False).speak(SCRIPTS[0], temperature=0, seed=1, max_tokens=24)
    draws = [channel["draw"] is not None for channel in frame_facts(DiaTrace.load(path), 20)["channels"]]
    assert draws == [False] * 3 + [True] + [False] * 5
    assert all(call["probability"] is None for call in frames_facts(DiaTrace.load(path), 0, 20)["calls"])
    assert "channel 0" not in shown(lambda trace, console: print_frame(trace, console, 12), 80, path)


# Facts


def test_where_cells_come_from_is_what_the_run_did(trace: DiaTrace) -> None:
    model = trace.model
    table = torch.full((2, 6 + model.max_delay, model.channels), -1)
    table[:, 0] = model.bos
    table[1, 1:7] = PROMPT
    given = apply_audio_delay(table, model.delays, bos=model.bos, pad=-1).numpy()
    for script in (0, 1):
        signs, grid = origins(trace, script), trace.grid(script)
        first = given[script]
        assert np.array_equal(np.isin(signs[: len(first)], ["B", "p"]), first >= 0)
        assert not np.isin(signs[len(first) :], ["B", "p"]).any()
        assert np.array_equal(signs[: len(first)] == "B", first == model.bos)
        written, drawn, cells = trace.written[:, script], trace.drawn[:, script], signs[1:]
        assert np.array_equal(grid[1:], written)
        assert (written[np.isin(cells, ["#", "-"])] == drawn[np.isin(cells, ["#", "-"])]).all()
        assert (written[cells == "P"] == model.pad).all()
        assert (written[cells == "E"] == model.eos).all()
        end = trace.ended_at(script)
        assert end is not None
        for row, sign in enumerate(signs[:, 3]):
            assert (sign == "E") == (row == end + model.delays[3])
    assert (origins(trace, 0)[39:] == "-").all()  # it ended at row 24, and the second script at row 49


def test_the_facts_are_the_trace_s_own(trace: DiaTrace) -> None:
    calls = frames_facts(trace, 0, len(trace) - 1, script=1)["calls"]
    assert [call["call"] for call in calls] == list(range(63))
    assert [call["written"] for call in calls] == trace.written[:, 1].tolist()
    assert [call["drawn"] for call in calls] == trace.drawn[:, 1, 0].tolist()
    assert [call["countdown"] or -1 for call in calls] == trace.countdown[:, 1].tolist()
    assert [call["kv"]["self"] for call in calls] == list(range(1, 64))
    facts = frame_facts(trace, 30, script=1)
    for channel, draw in zip(facts["channels"], trace.draws(30, 1), strict=True):
        assert channel["draw"]["probability"] == draw.probability
        assert channel["drawn"]["id"] == draw.choice
    grid = grid_facts(trace, script=1)
    assert np.array_equal(np.array(grid["codes"]).T, trace.grid(1))
    shows = show_facts(trace)
    assert [part["frames"] for part in shows["scripts"]] == [len(trace.codes(0)), len(trace.codes(1))]
    assert [row["number"] for row in shows["rows"]] == list(range(1, 14))


def test_hooks_are_those_of_dia(trace: DiaTrace) -> None:
    points = {point["name"]: point["trace"] for point in hooks_facts(trace)["points"]}
    assert list(points) == [point.name for point in listed() if "dia" in point.models]
    assert points["eos.countdown"] == points["draw.channel.{c}"] == points["encoder.tokens"] == "recorded"
    assert points["logits.channel.{c}"] == points["encoder.output"] == "not kept at level topk"
    assert points["dia.decode"] == "recorded 2×"
    alone = {point["name"]: point["trace"] for point in hooks_facts(DiaTrace.load(recorded_alone()))["points"]}
    assert alone["draw.channel.{c}"] == "not kept at level tokens"


# The command line


@pytest.mark.parametrize(
    "flags",
    [
        ["show"],
        ["frames"],
        ["frames", "--from", "30", "--to", "35", "--script", "2"],
        ["frames", "--call", "57"],
        ["grid"],
        ["grid", "--script", "2", "--codes", "--from", "8"],
        ["hooks"],
    ],
    ids=" ".join,
)
def test_every_view_prints_text_and_one_json_document(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    view, *rest = flags
    code, out, err = run(capsys, view, str(recorded()), *rest, "--width", "80")
    assert (code, err) == (0, "")
    assert out.count("\n") > 5
    assert "\x1b" not in out
    code, out, err = run(capsys, view, str(recorded()), *rest, "--json")
    assert (code, err) == (0, "")
    assert out.count("\n") == 1
    facts: dict[str, Any] = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert facts["path"] == str(recorded())


def test_scripts_are_counted_as_their_files_are(capsys: pytest.CaptureFixture[str]) -> None:
    facts = json.loads(run(capsys, "frames", str(recorded()), "--script", "2", "--json")[1])
    assert (facts["script"], facts["scripts"]) == (2, 2)
    assert facts == frames_facts(DiaTrace.load(recorded()), 0, 23, script=1)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["frames", "--script", "3"], "There is no script 3: PATH has scripts 1 … 2."),
        (["grid", "--script", "0"], "There is no script 0: PATH has scripts 1 … 2."),
        (["frames", "--word", "Hi"], "Dia takes no words one by one, so --word finds none: choose calls by --from and"),
        (["frames", "--from", "63"], "There is no call 63: PATH has calls 0 … 62."),
        (["grid", "--from", "64"], "There is no row 64: the grid of PATH has rows 0 … 63."),
        (["grid", "--from", "9", "--to", "8"], "Rows 9 to 8 do not exist"),
        (["prefix"], "PATH is a run of Dia: `dia2 trace prefix` looks at Dia2's voice cloning only."),
    ],
)
def test_what_there_is_not_is_refused_in_a_sentence(
    flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    view, *rest = flags
    code, out, err = run(capsys, view, str(recorded()), *rest)
    assert (code, out) == (2, "")
    assert err.startswith(f"dia2: error: {message.replace('PATH', str(recorded()))}")


def test_runs_of_dia2_have_one_script(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(recorded_of_dia2())
    assert run(capsys, "grid", path, "--script", "1")[0] == 0
    code, _, err = run(capsys, "grid", path, "--script", "2")
    assert (code, err) == (2, "dia2: error: There is no script 2: a run of Dia2 has one.\n")
    code, _, err = run(capsys, "diff", path, str(recorded()))
    assert code == 1
    assert "compare runs of one model" in err


def test_calls_that_are_not_there_are_told(trace: DiaTrace) -> None:
    assert choose_calls(trace) == (0, 23)
    assert choose_calls(trace, 60) == (60, 62)
    with pytest.raises(UsageError, match="no call -1"):
        choose_calls(trace, -1)
    with pytest.raises(TraceError, match="There is no call 63"):
        frame_facts(trace, 63)


# Expected

SHOW = """\
✗ call 62: Script 2 reached max_tokens = 64 before the model drew its end. (1
more)
  → split the script, shorten the prefix, or allow more where a limit was given
run.dia2trace  complete
  recorded  level topk
  model     Dia, cpu, float32; channels delayed by 0, 8, 9, 10, 11, 12, 13, 14,
            15
  sampling  seed 1, cfg 3 keeping 45, argmax
  calls     63 = 0 of prefill + 63 of the loop; 64 rows allowed

2 scripts
  1  [S1] Well.
     7 bytes · 23 frames · 0.27 s · EOS drawn at row 24
  2  [S2] Oh, no. [S1] Yes.
     16 bytes · a prompt of 6 frames · 42 frames · 0.49 s · end forced by
     max_tokens at row 49

✓  1  Load checkpoint
      dia/model.py → Dia._load()
      trigger    dia/toy/config.json, dia/toy/model.safetensors
      mutations  builds the modules, fills them, loads DAC dia/toy/dac
      outputs    297,328 parameters, float32 on cpu; DAC at 44,100 Hz
✓  2  Encode text
      dia/text.py → encode_text()
      trigger    2 scripts: “[S1] Well. | [S2] Oh, no. [S1] Yes.”
      mutations  [S1] → 1, [S2] → 2, UTF-8 bytes, padded with 0
      outputs    bytes [2, 16], of text 7, 16
✓  3  Encoder
      dia/loop.py → encode()
      trigger    bytes [2, 16]
      mutations  adds an empty text for guidance to each script; reads both ways
      outputs    output [4, 16, 48]
✓  4  Cross-attention cache
      dia/loop.py → fill_cross_cache()
      trigger    encoder output [4, 16, 48]
      before     cross-attention KV of no text
      mutations  cross-attention KV of 3 layers filled
      outputs    KV [4, 4, 16, 16] a layer
✓  5  Audio prompt
      dia/model.py → Dia.prompt_codes()
      trigger    no prompt; codes [6, 9]
      outputs    codes [0, 9]; codes [6, 9]
✓  6  Delay
      dia/audio.py → apply_audio_delay()
      trigger    table [2, 21, 9], delays 0, 8, 9, 10, 11, 12, 13, 14, 15
      before     channel c of frame t in row t + 1
      mutations  channel c of frame t in row t + 1 + delay[c]; BOS before it
      outputs    delayed [2, 21, 9]
·  7  Prefill                                                            not run
      nothing to prefill: a script has no prompt, so the loop begins with row
      0
✓  8  Decoder step
      dia/loop.py → decode_step()
      trigger    rows 0 … 62, one after the other
      before     self-attention KV of 0 slots, cross-attention KV of 16
                 positions
      mutations  rows 1 … 63 written, self-attention KV 0 → 63 slots
      outputs    63 steps; logits [4, 9, 68] each
✓  9  Guidance and filters
      dia/sampling.py → choose()
      trigger    logits [4, 9, 68], unconditional and conditional; uniforms of
                 seed 1
      before     68 candidates a channel
      mutations  cond + 3 · (cond − uncond) keeps 45; ids above 64 are
                 forbidden, and 64 itself but in channel 0; argmax
      outputs    1,134 draws, 320 of them overruled by a prompt or a countdown
✓ 10  EOS countdown
      dia/loop.py → count_down()
      trigger    script 1 at row 24 (eos drawn in channel 0); script 2 at row 49
                 (forced, 15 rows before the last)
      before     no countdown
      mutations  85 cells given eos when as many steps have passed as the
                 channel's delay, then PAD
      outputs    countdowns after the last step: 40, 15 of 15
✓ 11  Revert delay
      dia/audio.py → revert_audio_delay()
      trigger    delayed rows [1, 38, 9]; delayed rows [1, 57, 9]
      before     channel c of frame t in row t + delay[c]
      mutations  channels aligned
      outputs    codes [1, 38, 9]; codes [1, 57, 9]
✓ 12  DAC decode
      dia/codec.py → decode_audio()
      trigger    codes [23, 9]; codes [42, 9]
      mutations  runs DAC's decoder
      outputs    11,776 samples; 21,504 samples
✓ 13  Write
      dia/model.py → save_audio()
      trigger    11,776 samples at 44100 Hz; 21,504 samples at 44100 Hz
      before     no file, or an older one
      mutations  writes a file beside it, renames it
      outputs    pair-1.wav; pair-2.wav
"""

SHOW_ALONE = """\
✗ call 38: The script reached max_tokens = 40 before the model drew its end. (1
more)
  → split the script, shorten the prefix, or allow more where a limit was given
run.dia2trace  complete
  recorded  level tokens
  model     Dia, cpu, float32; channels delayed by 0, 8, 9, 10, 11, 12, 13, 14,
            15
  sampling  seed 1, cfg 3 keeping 45, argmax
  calls     39 = 6 of prefill + 33 of the loop; 40 rows allowed

script
  1  [S2] Oh, no. [S1] Yes.
     16 bytes · a prompt of 6 frames · 18 frames · end forced by max_tokens at
     row 25

·  1  Load checkpoint                                                    not run
      the checkpoint was loaded before the recording began
"""

FRAMES_GIVEN = """\
script 2 of 2
call in      drew0     p end given     ch0 ch1 ch2 ch3 ch4 ch5 ch6 ch7 ch8   kv
   5 loop        0 1.000     p0 B1–8    45 bos bos bos bos bos bos bos bos    6
   6 loop        0 1.000     B1–8        0 bos bos bos bos bos bos bos bos    7
   7 loop        0 1.000     B1–8        0 bos bos bos bos bos bos bos bos    8
   8 loop        0 1.000     p1 B2–8     0   1 bos bos bos bos bos bos bos    9
   9 loop        0 1.000     p1–2 B3–8   0  10   2 bos bos bos bos bos bos   10

A call reads the row of its number and writes the next, ch0 on. drew0: the token
drawn in channel 0, p its probability; end: steps since the script's end began;
kv: rows in the self-attention cache.
given: channels whose cell was not drawn: B BOS, p prompt.
The cross-attention cache holds 16 positions of text in every call.
calls 5 … 9 of 0 … 62; --from 10 shows more
"""

FRAMES_AT_THE_END = """\
script 1 of 2
call in      drew0     p end given    ch0 ch1 ch2 ch3 ch4 ch5 ch6 ch7 ch8   kv
  22 loop        0 1.000                0  16  27  24  55  62  17  30  15   23
  23 loop      eos 1.000   1 E0       eos   5  51  28  35  52   3  47  30   24
  24 loop       54 1.000   2 P0       pad  27  31  28  23  18  59  40  49   25
  25 loop       46 1.000   3 P0       pad  23  56  21  37  49   0   0  17   26
  26 loop       54 1.000   4 P0       pad   1  10  31  36  45  58  39  14   27
  27 loop       63 1.000   5 P0       pad  51  59  23   6  55  30  17  22   28
  28 loop       57 1.000   6 P0       pad   1  13  16  49  62  50  13  40   29
  29 loop       29 1.000   7 P0       pad  34  59  62  44  21  34  10  53   30
  30 loop       58 1.000   8 P0       pad  13  37  38  44  55   5  36  12   31
  31 loop       50 1.000   9 P0 E1    pad eos  12  36   4  49  11  51  59   32
  32 loop        7 1.000  10 P0–1 E2  pad pad eos  53  26  21  30   2  53   33
  33 loop        6 1.000  11 P0–2 E3  pad pad pad eos  45  44  34  56  33   34

A call reads the row of its number and writes the next, ch0 on. drew0: the token
drawn in channel 0, p its probability; end: steps since the script's end began;
kv: rows in the self-attention cache.
given: channels whose cell was not drawn: E EOS, drawn or forced by the
countdown, P PAD after it.
The cross-attention cache holds 16 positions of text in every call.
calls 22 … 33 of 0 … 62; --from 34 shows more
"""

FRAMES_OF_A_PREFILL = """\
call in      drew0     p end given    ch0 ch1 ch2 ch3 ch4 ch5 ch6 ch7 ch8   kv
   0 prefill                                                                 1
   1 prefill                                                                 2
   2 prefill                                                                 3
   3 prefill                                                                 4
   4 prefill                                                                 5
   5 prefill                                                                 6
   6 loop        0           B1–8       0 bos bos bos bos bos bos bos bos    7
   7 loop        0           B1–8       0 bos bos bos bos bos bos bos bos    8
   8 loop        0           p1 B2–8    0   1 bos bos bos bos bos bos bos    9

A call reads the row of its number and writes the next, ch0 on. drew0: the token
drawn in channel 0, p its probability; end: steps since the script's end began;
kv: rows in the self-attention cache.
given: channels whose cell was not drawn: B BOS, p prompt.
prefill: rows that are given to all scripts, in one pass; nothing is drawn.
The cross-attention cache holds 16 positions of text in every call.
calls 0 … 8 of 0 … 38; --from 9 shows more
"""

CALL = """\
call 60 · loop · reads row 60, writes row 61 · rotary position and KV slot 60
script 2 of 2
the end: row 13 of 15 of the countdown

channels
 channel delay frame read drew      p     rank   cond  guided written
 ch0        +0    60  pad    6 1.0000        1   2.32    4.75     pad forced
 ch1        +8    52  pad   47 1.0000        1   2.46    5.07     pad forced
 ch2        +9    51  pad    5 1.0000        1   1.90    2.00     pad forced
 ch3       +10    50  pad    3 1.0000        1   3.39    2.84     pad forced
 ch4       +11    49  eos   60 1.0000        1   2.08    3.90     pad forced
 ch5       +12    48   32   14 1.0000        1   2.51    2.45     eos forced
 ch6       +13    47   50   45 1.0000        1   2.18    4.18      45 drawn
 ch7       +14    46   55   53 1.0000        1   2.32    3.08      53 drawn
 ch8       +15    45   62   12 1.0000        1   2.58    3.83      12 drawn
  rank: place of the choice by conditional logit; guidance decides which may be
  drawn, cond how likely.

candidates before and after guidance (cfg 3)
  channel 0
    candidate       cond     guided  guidance
 ▶  6               2.32       4.75  kept
    46              2.13       3.86  kept
    14              1.80       3.96  kept
    62              1.46       3.21  kept
    12              1.42       3.38  kept
    5               1.15       1.42  kept

  of each channel: best by conditional logit; ▶ the choice; (in brackets) what
  might not be drawn
  ch1      ▶ 47 2.46  61 2.41  (eos 2.21)  33 2.13
  ch2      ▶ 5 1.90  (eos 1.70)  49 1.61  33 1.59
  ch3      ▶ 3 3.39  21 3.15  51 2.23  9 1.80
  ch4      ▶ 60 2.08  (eos 1.55)  (49 1.52)  29 1.48
  ch5      ▶ 14 2.51  32 2.25  38 2.18  17 1.76
  ch6      ▶ 45 2.18  26 1.94  63 1.83  11 1.59
  ch7      ▶ 53 2.32  33 2.20  9 2.15  36 1.97
  ch8      ▶ 12 2.58  5 2.55  48 2.40  29 2.10

caches and times
  filled KV slots  self-attention 61, cross-attention 16 of the text
"""

CALL_OF_A_PREFILL = """\
call 2 · prefill · reads row 2, which is given · rotary position and KV slot 2

channels
  a row of the prefill is given; nothing is drawn.
 channel delay frame read drew      p     rank   cond  guided written
 ch0        +0     2    9    –      –        –      –       –       –
 ch1        +8     –  bos    –      –        –      –       –       –
 ch2        +9     –  bos    –      –        –      –       –       –
 ch3       +10     –  bos    –      –        –      –       –       –
 ch4       +11     –  bos    –      –        –      –       –       –
 ch5       +12     –  bos    –      –        –      –       –       –
 ch6       +13     –  bos    –      –        –      –       –       –
 ch7       +14     –  bos    –      –        –      –       –       –
 ch8       +15     –  bos    –      –        –      –       –       –

caches and times
  filled KV slots  self-attention 3, cross-attention 16 of the text
  wall time        none of its own: prefill is one pass
"""

GRID_1 = """\
script 1 of 2
row       0         10        20        30        40        50        60
  delay   |'''''''''|'''''''''|'''''''''|'''''''''|'''''''''|'''''''''|'''
ch0  +0   B#######################EPPPPPPPPPPPPPP-------------------------
ch1  +8   BBBBBBBBB#######################EPPPPPP-------------------------
ch2  +9   BBBBBBBBBB#######################EPPPPP-------------------------
ch3  +10  BBBBBBBBBBB#######################EPPPP-------------------------
ch4  +11  BBBBBBBBBBBB#######################EPPP-------------------------
ch5  +12  BBBBBBBBBBBBB#######################EPP-------------------------
ch6  +13  BBBBBBBBBBBBBB#######################EP-------------------------
ch7  +14  BBBBBBBBBBBBBBB#######################E-------------------------
ch8  +15  BBBBBBBBBBBBBBBB#######################-------------------------

B  BOS, which is given: row 0, and before a channel's delay
#  drawn
E  EOS: drawn in channel 0, or forced by the countdown
P  PAD, forced by the countdown
-  drawn after this script's end, while others ran
+d: frame t of a channel stands in row t + d + 1; 64 rows hold 23 new frames.
rows 0 … 63 of 0 … 63
"""

GRID_2 = """\
script 2 of 2
row       0         10        20        30        40        50        60
  delay   |'''''''''|'''''''''|'''''''''|'''''''''|'''''''''|'''''''''|'''
ch0  +0   Bpppppp##########################################EPPPPPPPPPPPPPP
ch1  +8   BBBBBBBBBpppppp##########################################EPPPPPP
ch2  +9   BBBBBBBBBBpppppp##########################################EPPPPP
ch3  +10  BBBBBBBBBBBpppppp##########################################EPPPP
ch4  +11  BBBBBBBBBBBBpppppp##########################################EPPP
ch5  +12  BBBBBBBBBBBBBpppppp##########################################EPP
ch6  +13  BBBBBBBBBBBBBBpppppp##########################################EP
ch7  +14  BBBBBBBBBBBBBBBpppppp##########################################E
ch8  +15  BBBBBBBBBBBBBBBBppppp###########################################

B  BOS, which is given: row 0, and before a channel's delay
p  prompt, which is given
#  drawn
E  EOS: drawn in channel 0, or forced by the countdown
P  PAD, forced by the countdown
+d: frame t of a channel stands in row t + d + 1, where frames 0 … 5 are the
prompt's; 64 rows hold 42 new frames.
rows 0 … 63 of 0 … 63
"""

CODES = """\
script 2 of 2
row        8       10                  15                  20
  delay     '   '   |   '   '   '   '   '   '   '   '   '   |   '   '   '   '
ch0  +0     0   0   0  61  19  37  52   0  20  29  19  29  21  15   4   9  54
ch1  +8     B   1p 10p 19p 28p 37p 46p 36  40  27   7  45  32  23  26  26  31
ch2  +9     B   B   2p 11p 20p 29p 38p 47p 52  43  42  40  45   8  45  56  33
ch3  +10    B   B   B   3p 12p 21p 30p 39p 48p 24   1  18  37  24   0  53  13
ch4  +11    B   B   B   B   4p 13p 22p 31p 40p 49p 56  62  54   3  29  23  23
ch5  +12    B   B   B   B   B   5p 14p 23p 32p 41p 50p 28  14  45  32   3  52
ch6  +13    B   B   B   B   B   B   6p 15p 24p 33p 42p 51p 62  15  28  62  50
ch7  +14    B   B   B   B   B   B   B   7p 16p 25p 34p 43p 52p 32  43  11  43
ch8  +15    B   B   B   B   B   B   B   B   8p 17p 26p 35p 44p 36  57   4  24

B  BOS, which is given: row 0, and before a channel's delay
p  prompt, which is given
   drawn (no sign)
+d: frame t of a channel stands in row t + d + 1, where frames 0 … 5 are the
prompt's; 64 rows hold 42 new frames.
rows 8 … 24 of 0 … 63; --from 25 shows more
"""

DIFF = """\
a  other.dia2trace  39 calls, complete
b  run.dia2trace  39 calls, complete

settings that differ
   what                       a                       b
   cfg_scale                  3.0                     0.0

the first call that differs
  call 12 · loop · reads row 12, writes row 13
   what                       a                       b
▶  channel 1 drawn            51                      24

  the same before it: 12 calls
"""
