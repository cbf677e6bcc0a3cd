"""The command line, in this process and as a command of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile
import torch

from dia2.cli import main

from .support.reference import ROOT, Case, cases, local_files
from .support.whisper_checkpoint import write_tiny_whisper


def flags(checkpoint: str) -> list[str]:
    files = local_files(checkpoint)
    return [
        *("--config", files["config_path"], "--weights", files["weights_path"]),
        *("--tokenizer", files["tokenizer_id"], "--mimi", files["mimi_id"], "--device", "cpu"),
    ]


def case_flags(case: Case) -> list[str]:
    expected, given = case.expected, [*flags(case.checkpoint), "--greedy"]
    given += ["--cfg", str(expected["cfg_scale"]), "--cfg-filter-k", str(expected["cfg_filter_k"])]
    for n, words in enumerate(expected["words"] or [], 1):
        given += [f"--prefix-speaker-{n}", str(case.folder / f"spk{n}.wav")]
        given += [f"--prefix-words-{n}", str(case.folder / words)]
    return given + (["--include-prefix"] if expected["include_prefix"] else [])


@pytest.mark.parametrize("case", cases("tiny3", names=("context_end", "prefix2_include")))
def test_the_command_line_speaks_as_the_reference_does(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected, tensors = case.expected, case.tensors
    script = tmp_path / "input.txt"
    lines = expected["script"] if isinstance(expected["script"], list) else [expected["script"]]
    script.write_text("\n".join(line.strip() for line in lines), encoding="utf-8")
    output = tmp_path / "out.wav"
    assert main(["generate", *case_flags(case), "--input", str(script), "--json", str(output)]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert [[word["text"], word["start"]] for word in summary["words"]] == case.sounding
    assert summary["first_word_frame"] == expected["first_word_frame"]
    samples, rate = soundfile.read(output, dtype="float32")
    assert rate == expected["sample_rate"]
    assert len(samples) == tensors["waveform_samples"].item()
    head = tensors["waveform_head"]
    assert torch.allclose(torch.from_numpy(samples[: len(head)]), head, atol=1e-3, rtol=0)


def test_the_summary_at_80_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    script = "[S1] Hello Dia2! It's a test: one two. [S2] Really? Fine."
    assert main([*flags("tiny8"), "--input", script, "--greedy", "--cfg", "2", "--seed", "5", "out.wav"]) == 0
    out, err = capsys.readouterr()
    first, *rest = out.splitlines()
    assert first.startswith("out.wav: 5.12 s of audio · 69 frames · ")
    assert first.endswith(" × real time · seed 5")
    assert [line.rstrip().replace("\u00a0", "_") for line in rest] == [
        "time  who  words, each with its second",
        "0.00  S1   Hello_0.00 Dia2!_0.64 It's_1.20 a_1.60 test_1.76 one_2.32 two._2.64",
        "3.04  S2   Really?_3.04 Fine._3.84",
    ]
    assert err == ""


def test_words_and_subtitles_are_written(tmp_path: Path) -> None:
    paths = [str(tmp_path / name) for name in ("o.wav", "o.json", "o.srt", "o.vtt")]
    given = [*flags("tiny8"), "--input", "[S1] Hello there. [S2] Hi!", "--greedy", "--quiet"]
    assert main([*given, "--words", paths[1], "--subtitles", paths[2], paths[0]]) == 0
    assert main([*given, "--subtitles", paths[3], paths[0]]) == 0
    made = json.loads(Path(paths[1]).read_text(encoding="utf-8"))
    assert made["format"] == 2
    words = made["words"]
    assert [(word["text"], word["speaker"]) for word in words] == [("Hello", 1), ("there.", 1), ("Hi!", 2)]
    assert words[0]["start"] == 0.0, "it is taken at step 2"
    assert Path(paths[2]).read_text(encoding="utf-8").startswith("1\n00:00:00,000 --> 00:00:0")
    assert "<v Speaker 2>Hi!" in Path(paths[3]).read_text(encoding="utf-8")


def test_quiet_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*flags("tiny8"), "--input", "[S1] Hi.", "--quiet", str(tmp_path / "o.wav")]) == 0
    assert capfd.readouterr() == ("", "")


def test_verbose_tells_what_is_done(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    case = Case("tiny8", "prefix1")
    given = [*case_flags(case), "--seed", "3", "--cuda-graph", "--verbose", "--input", "[S1] Hi."]
    assert main([*given, str(tmp_path / "o.wav")]) == 0
    err = capfd.readouterr().err
    assert "dia2: prefix: 3 words, 20 frames" in err
    assert "dia2: script: 1 word, seed 3" in err
    assert err.count("CUDA graphs are off: the device is cpu") == 1
    assert re.search(r"^dia2: at most [0-9.]+ [MG]B of memory since this process began$", err, re.MULTILINE)
    assert "cpu in this run" not in err


def test_a_voice_made_by_the_command_line_is_a_prefix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = Case("tiny8", "prefix1")
    voice, output = tmp_path / "anna.voice", tmp_path / "out.wav"
    recording, words = str(case.folder / "spk1.wav"), str(case.folder / "spk1.words.json")
    assert main(["voice", recording, "--speaker", "1", "--words", words, "-o", str(voice), *flags("tiny8")]) == 0
    assert "is ready: give it to --prefix-speaker-1" in capsys.readouterr().err
    given = [*flags("tiny8"), "--greedy", "--cfg", "2", "--cfg-filter-k", "8", "--prefix-speaker-1", str(voice)]
    assert main([*given, "--input", case.expected["script"], "--json", str(output)]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert [[word["text"], word["start"]] for word in summary["words"]] == case.sounding


@pytest.mark.parametrize("recording", ["stereo44k.flac", "mono8k.wav"])
def test_recordings_of_any_rate_and_channels_through_whisper(
    tmp_path: Path, recording: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import soxr

    samples, rate = soundfile.read(ROOT / "tiny8" / "spk1.wav")
    target = 44100 if "44k" in recording else 8000
    resampled = soxr.resample(samples, rate, target)
    stereo = torch.from_numpy(resampled).repeat(2, 1).T.numpy() if "stereo" in recording else resampled
    soundfile.write(tmp_path / recording, stereo, target)
    whisper = write_tiny_whisper(tmp_path / "whisper.pt")
    given = [*flags("tiny8"), "--prefix-speaker-1", str(tmp_path / recording), "--whisper", str(whisper), "--greedy"]
    assert main([*given, "--include-prefix", "--json", "--input", "[S1] Hi.", str(tmp_path / "o.wav")]) == 0
    words = [word["text"] for word in json.loads(capsys.readouterr().out)["words"]]
    assert words == ["Hello", "there,", "friend.", "Hi."]


@pytest.mark.slow
def test_a_command_of_its_own_with_ctrl_c(tmp_path: Path) -> None:
    output = tmp_path / "out.wav"
    words = " ".join(["word"] * 2000)
    command = [sys.executable, "-m", "dia2", "--nano", "--device", "cpu", "--verbose", "--input", words, str(output)]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as run:
        assert run.stderr is not None
        for line in run.stderr:
            if "dia2: script:" in line:  # the main loop begins
                break
        time.sleep(2.0)  # some frames are made; the run would take much longer
        run.send_signal(signal.SIGINT)
        _, err = run.communicate(timeout=60)
    assert run.returncode == 130, err
    assert f"are kept in {output}" in " ".join(err.split())
    assert soundfile.info(output).frames > 0


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, expected in (
        (["--version"], "dia2 0."),
        (["--help"], "generate"),
        (["voice", "--help"], "--speaker"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 0
        assert expected in capsys.readouterr().out
