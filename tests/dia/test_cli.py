"""`dia generate`, in this process and as a command of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch

from dia.assets import toy_folder
from dia.cli import main
from dia.model import Dia
from dia.speaking import output_paths

from ..support.dia import DIA5, toy

QUICK = ["--max-tokens", "40", "--seed", "3", "--device", "cpu"]
TEXT = "[S1] Hello. [S2] Hi!"
NOTE = "dia: note: the embedded toy has random weights and makes noise; for speech give --hf or --config\n"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in an empty folder, 80 columns wide: exit code, output, errors."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)

    def command(*flags: str) -> tuple[int, str, str]:
        try:
            code = main(flags)
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, *capsys.readouterr()

    return command


def test_speaking_with_the_toy(run: Run) -> None:
    code, out, err = run("generate", TEXT, "-o", "out.wav", *QUICK)
    assert code == 0
    first, second = out.splitlines()
    assert first == "out.wav: 0.28 s of audio · 24 frames · ended by --max-tokens"
    rows, speed, seed = second.split(" · ")
    assert (rows, seed) == ("39 rows", "seed 3")
    assert speed.endswith(" rows/s")
    assert float(speed.removesuffix(" rows/s")) > 0
    assert err == NOTE
    samples, rate = soundfile.read("out.wav", dtype="float32")
    expected = toy().generate(TEXT, max_tokens=40, seed=3)
    assert isinstance(expected, torch.Tensor)
    assert rate == 44100
    assert torch.allclose(torch.from_numpy(samples), expected, atol=1e-4)


def test_on_a_terminal_the_file_s_name_is_bold_and_nothing_else(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    code, out, _ = run("generate", TEXT, "-o", "out.wav", *QUICK)
    assert code == 0
    name = "\x1b[1mout.wav\x1b[0m: "
    assert out.startswith(name)
    assert "\x1b" not in out.removeprefix(name)


def test_several_scripts_have_numbered_files(run: Run, tmp_path: Path) -> None:
    (tmp_path / "two.txt").write_text("[S2] Two.\n", encoding="utf-8")
    code, out, err = run("generate", TEXT, "two.txt", "-o", "out.wav", *QUICK)
    assert code == 0
    assert out.splitlines()[:2] == [f"out-{n}.wav: 0.28 s of audio · 24 frames · ended by --max-tokens" for n in (1, 2)]
    assert err == NOTE
    both = toy().generate([TEXT, "[S2] Two.\n"], max_tokens=40, seed=3)
    for n, expected in enumerate(both, 1):
        samples, _ = soundfile.read(f"out-{n}.wav", dtype="float32")
        assert torch.allclose(torch.from_numpy(samples), expected, atol=1e-4)
    assert not Path("out.wav").exists()


def test_names_of_outputs() -> None:
    assert output_paths("a/b.wav", 1) == ["a/b.wav"]
    assert output_paths("a/b.c.wav", 3) == [str(Path("a") / f"b.c-{n}.wav") for n in (1, 2, 3)]
    assert output_paths("noise", 2) == ["noise-1", "noise-2"]


def test_the_summary_as_json(run: Run) -> None:
    code, out, err = run("generate", TEXT, "[S2] Two.", "-o", "out.wav", "--json", *QUICK)
    assert code == 0
    summary = json.loads(out)
    seconds = summary.pop("seconds")
    assert 0 < seconds < 60
    one = {"duration": 24 * 512 / 44100, "frames": 24, "stop_reason": "max_tokens"}
    assert summary == {
        "sample_rate": 44100,
        "seed": 3,
        "steps": 39,
        "scripts": [{"output": f"out-{n}.wav"} | one for n in (1, 2)],
    }
    assert err == NOTE


def test_quiet_prints_nothing(run: Run) -> None:
    assert run("generate", TEXT, "-o", "out.wav", "--quiet", *QUICK) == (0, "", "")


def test_every_setting_of_the_sampling_counts(run: Run) -> None:
    settings = ["--cfg", "2", "--temperature", "0.8", "--top-p", "0.7", "--cfg-filter-k", "9"]
    code, _, _ = run("generate", TEXT, "-o", "out.wav", *QUICK, *settings)
    assert code == 0
    samples, _ = soundfile.read("out.wav", dtype="float32")
    options: dict[str, Any] = {"max_tokens": 40, "seed": 3}
    given: dict[str, Any] = {"cfg_scale": 2.0, "temperature": 0.8, "top_p": 0.7, "cfg_filter_top_k": 9}
    expected = toy().generate(TEXT, **options, **given)
    assert isinstance(expected, torch.Tensor)
    assert torch.allclose(torch.from_numpy(samples), expected, atol=1e-4)
    for name in given:
        without = toy().generate(TEXT, **options, **{key: value for key, value in given.items() if key != name})
        assert not torch.equal(without, expected), name  # type: ignore[arg-type]  # of a text


def test_a_prompt_for_each_script(run: Run, tmp_path: Path) -> None:
    tone = 0.3 * torch.sin(torch.arange(2500) * 0.07)
    soundfile.write(tmp_path / "p.wav", tone.numpy(), 44100)
    code, out, _ = run("generate", TEXT, TEXT, "-o", "out.wav", "--prompt", "p.wav", "--prompt", "", *QUICK)
    assert code == 0
    assert [line.split(" · ")[1] for line in out.splitlines()[:2]] == ["19 frames", "24 frames"]


def test_a_checkpoint_of_local_files(run: Run) -> None:
    files = toy_folder()
    given = ["--config", str(files / "config.json"), "--weights", str(files / "model.safetensors"), *QUICK]
    code, _, err = run("generate", TEXT, "-o", "one.wav", *given)
    assert (code, err) == (0, "")  # no note: this is not the toy that nobody asked for
    code, _, _ = run("generate", TEXT, "-o", "two.wav", "--hf", str(files), *QUICK, "--dtype", "float32")
    assert code == 0
    assert Path("one.wav").read_bytes() == Path("two.wav").read_bytes()


# Warnings


def test_a_text_that_is_too_long(run: Run) -> None:
    long = "[S1] " + "many words " * 40
    said = "Script 1 has 442 bytes and the encoder takes 256: what follows "
    code, _, err = run("generate", long, "-o", "out.wav", *QUICK)
    assert code == 0
    warning, note = err.splitlines()
    assert warning.startswith(f"dia: warning: {said}'…")
    assert warning.endswith(" is cut off.")
    assert note == NOTE.rstrip()
    code, _, err = run("generate", long, "-o", "out.wav", "--strict", *QUICK)
    assert code == 2
    assert err.startswith(f"dia: error: {said}'…")


def test_no_room_for_a_frame(run: Run) -> None:
    code, out, err = run("generate", TEXT, "-o", "out.wav", "--max-tokens", "10")
    assert (code, out) == (1, "")
    assert err == "dia: error: --max-tokens leaves no room for a frame; nothing was written\n"
    assert not Path("out.wav").exists()


def test_cuda_graphs_without_cuda(run: Run) -> None:
    _, _, err = run("generate", TEXT, "-o", "out.wav", "--cuda-graph", *QUICK)
    assert err == "dia: warning: CUDA graphs are off: the device is cpu\n" + NOTE


# Errors


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "the following arguments are required: SCRIPT, -o/--output; see dia generate --help"),
        ([TEXT, "-o", "o.wav", "--top-k", "5"], "unrecognized arguments: --top-k 5; see dia --help"),
        (
            [TEXT, "-o", "o.wav", "--max-tokens", "many"],
            "argument --max-tokens: invalid int value: 'many'; see dia generate --help",
        ),
        (["", "-o", "o.wav"], "Script 1 is empty: give it some text, such as '[S1] Hello.'."),
        (
            ["gone.txt", "-o", "o.wav"],
            "There is no script file gone.txt: give a file, - for standard input, or the text itself.",
        ),
        (
            [TEXT, "-o", "o.wav", "--max-tokens", "513"],
            "max_tokens is 513, and the decoder has 512 positions: ask for fewer.",
        ),
        ([TEXT, "-o", "o.wav", "--temperature", "-1"], "temperature must be a finite number from 0, not -1.0."),
        ([TEXT, "-o", "o.wav", "--top-p", "nan"], "top_p must be 0 to 1, not nan."),
        (
            [TEXT, "-o", "o.wav", "--prompt", "a.wav", "--prompt", "b.wav"],
            "Audio prompts: 2, scripts: 1: give one for each script, or None for it.",
        ),
        (
            [TEXT, "-o", "o.wav", "--prompt", "a.wav"],
            "There is no audio prompt a.wav: give a sound file (WAV, FLAC, OGG, MP3 …).",
        ),
        ([TEXT, "-o", "no/o.wav"], "Output folder no does not exist: create it, or write elsewhere."),
        ([TEXT, "-o", "o.wav", "--config", "c.json"], "--config and --weights belong together: give both."),
        ([TEXT, "-o", "o.wav", "--weights", "m.pth"], "--config and --weights belong together: give both."),
        (
            [TEXT, "-o", "o.wav", "--hf", "a/b", "--config", "c.json", "--weights", "m.pth"],
            "Give one of --hf, and --config with --weights.",
        ),
        (
            [TEXT, "-o", "o.wav", "--trace-level", "full"],
            "--trace-level and --trace-hooks say what a trace holds: give --trace FOLDER too.",
        ),
        (
            [TEXT, "-o", "o.wav", "--trace-hooks", "eos.*"],
            "--trace-level and --trace-hooks say what a trace holds: give --trace FOLDER too.",
        ),
        ([TEXT, "-o", "o.wav", "--device", "abacus"], "There is no device 'abacus': choose cuda, cuda:N, mps or cpu."),
        ([TEXT, "-o", "o.wav", "--dtype", "int8"], "dtype 'int8' is not supported: choose auto, float32 or bfloat16."),
        ([TEXT, "-o", "o.wav", "--hf", ""], "The repo's name is empty: write it like nari-labs/Dia-1.6B-0626."),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_bad_usage(run: Run, flags: list[str], said: str) -> None:
    code, out, err = run("generate", *flags)
    assert (code, out) == (2, "")
    assert err == f"dia: error: {said}\n"
    assert not Path("o.wav").exists()


def test_no_command(run: Run) -> None:
    assert run() == (2, "", "dia: error: the following arguments are required: COMMAND; see dia --help\n")


def test_an_output_that_is_read(run: Run, tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text(TEXT)
    code, _, err = run("generate", "s.txt", "-o", "s.txt", *QUICK)
    assert (code, err) == (2, "dia: error: s.txt is an input of this run: write somewhere else.\n")
    assert (tmp_path / "s.txt").read_text() == TEXT


def test_a_damaged_checkpoint_is_exit_code_1(run: Run, tmp_path: Path) -> None:
    shutil.copy(DIA5 / "config.json", tmp_path)
    Path("model.safetensors").write_bytes(b"nothing")
    dac = ["--dac", str(toy_folder() / "dac")]
    code, out, err = run("generate", TEXT, "-o", "o.wav", "--hf", ".", *dac, *QUICK)
    assert (code, out) == (1, "")
    assert err.startswith("dia: error: model.safetensors is not a whole safetensors file (")
    assert len(err.splitlines()) == 1


def test_help_and_version(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert "generate" in out
    code, out, _ = run("generate", "--help")
    assert code == 0
    assert "--cfg-filter-k" in out
    code, out, _ = run("--version")
    assert (code, out.split()[0]) == (0, "dia")


# Ctrl-C


def test_ctrl_c_keeps_the_audio_so_far(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    speak = Dia.speak

    def interrupted(self: Dia, text: Any, **options: Any) -> Any:
        def stop(steps: int) -> None:
            if steps == 20:
                raise KeyboardInterrupt

        return speak(self, text, **(options | {"progress": stop}))

    monkeypatch.setattr(Dia, "speak", interrupted)
    code, out, _ = run("generate", TEXT, "-o", "out.wav", *QUICK)
    assert code == 130
    assert out.splitlines()[0] == "out.wav: 0.06 s of audio · 5 frames · ended by Ctrl-C"
    assert len(soundfile.read("out.wav")[0]) == 5 * 512


def test_ctrl_c_before_the_first_frame(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    speak = Dia.speak

    def interrupted(self: Dia, text: Any, **options: Any) -> Any:
        def stop(_: int) -> None:
            raise KeyboardInterrupt

        return speak(self, text, **(options | {"progress": stop}))

    monkeypatch.setattr(Dia, "speak", interrupted)
    code, out, err = run("generate", TEXT, "-o", "out.wav", *QUICK)
    assert (code, out) == (130, "")
    assert err == "dia: error: interrupted before the first frame was whole; nothing was written\n"
    assert not Path("out.wav").exists()


@pytest.mark.slow
def test_a_command_of_its_own_reads_standard_input(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "dia", "generate", "-", "-o", str(tmp_path / "o.wav"), *QUICK]
    done = subprocess.run(
        command, input=TEXT.encode(), capture_output=True, check=False, env=os.environ | {"COLUMNS": "80"}
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr.decode() == NOTE
    assert done.stdout.decode().splitlines()[0].endswith("0.28 s of audio · 24 frames · ended by --max-tokens")
    assert len(soundfile.read(tmp_path / "o.wav")[0]) == 24 * 512


@pytest.mark.slow
def test_a_command_of_its_own_is_refused() -> None:
    command = [sys.executable, "-W", "error", "-m", "dia", "generate", TEXT, "-o", "o.wav", "--trace-level", "full"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("dia: error: --trace-level and --trace-hooks say what a trace holds")


def test_importing_is_light() -> None:
    """The package and its command line's parser bring neither the network nor transformers."""
    check = (
        "import sys, dia; print(sorted({'torch', 'rich'} & sys.modules.keys())); import dia.model; "
        "print(sorted({'transformers', 'dia2.inspect', 'soxr', 'rich'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n[]\n"
