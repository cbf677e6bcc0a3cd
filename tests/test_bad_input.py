"""Bad input: one line that names the thing and the way out, the right exit code, nothing written."""

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file

from dia2 import Dia2, UsageError
from dia2.cli import main

from .support.hub import FakeHub
from .support.reference import ROOT, engine
from .support.seeds_line import published_repo
from .test_cli import flags

TINY8 = ROOT / "tiny8"
HELLO = ["--input", "[S1] Hello."]
VOICE_1 = ["--prefix-speaker-1", str(TINY8 / "spk1.wav")]


def refused(
    arguments: list[str], code: int, message: str, capfd: pytest.CaptureFixture[str], output: Path | None = None
) -> None:
    """Run the command line; it must fail with `code` and one line that has `message`."""
    try:
        returned = main(arguments)
    except SystemExit as stop:  # argparse's way
        returned = int(stop.code or 0)
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("dia2: error: "), err
    assert message in err
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    assert returned == code, err
    assert output is None or not output.exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--temperature", "0"], "--temperature must be above 0, not 0; for argmax say --greedy"),
        (["--temperature", "-1"], "--temperature must be above 0"),
        (["--temperature", "nan"], "--temperature must be a finite number"),
        (["--temperature", "inf"], "--temperature must be a finite number"),
        (["--temperature", "warm"], "--temperature: invalid float value: 'warm'"),
        (["--topk", "0"], "--topk must be at least 1"),
        (["--topk", "-5"], "--topk must be at least 1"),
        (["--topk", "nan"], "--topk: invalid int value: 'nan'"),
        (["--topk", "inf"], "--topk: invalid int value: 'inf'"),
        (["--cfg", "0"], "--cfg must be above 0, not 0; 1 turns guidance off"),
        (["--cfg", "-2"], "--cfg must be above 0"),
        (["--cfg", "nan"], "--cfg must be a finite number"),
        (["--cfg=-inf"], "--cfg must be a finite number"),
        (["--seed", "-1"], "seed must be at least 0"),
        (["--seed", str(2**64)], "seed must be at most"),
        (["--initial-padding", "-1"], "initial_padding must be at least 0"),
        (["--device", "warp"], "There is no device 'warp'"),
        (["--device", "cuda:99"], "Device 'cuda:99' is not available"),
        (["--dtype", "float8"], "dtype 'float8' is not supported"),
        (["--subtitles", "out.doc"], "must end in .srt or .vtt"),
        (["--config", "config.json"], "--config and --weights belong together"),
        (["--hf", "a/b", "--nano"], "Give one of --hf"),
        (["--hf", "not a repo"], "is neither a folder nor a hub repo"),
        (["--no-such-flag"], "unrecognized arguments: --no-such-flag; see dia2 --help"),
        (["--prefix-speaker-2", str(TINY8 / "spk2.wav")], "speaker 2 needs one for speaker 1"),
        (["--prefix-words-1", str(TINY8 / "spk1.words.json")], "words are given without prefix audio"),
        ([*VOICE_1, "--prefix-words-2", str(TINY8 / "spk2.words.json")], "speaker 2 are given without audio"),
        ([*VOICE_1, "--whisper", "no-such-model"], "There is no Whisper model 'no-such-model'"),
        (["--prefix-speaker-1", "nowhere.wav"], "There is no prefix audio nowhere.wav"),
        (["--prefix-speaker-1", "nowhere.voice"], "There is no voice file nowhere.voice"),
        (["--input", "nowhere.txt"], "There is no script file nowhere.txt"),
        (["--input", str(TINY8)], "is a folder"),
        (["--input", ""], "The script is empty"),
        (["--input", "  \n "], "The script is empty"),
        (["--input", "[S1] [S2]"], "The script has no words"),
        (["--input", "[S3] Hello."], "Unknown speaker tag [S3]"),
        (["--input", "[s1] Hello."], "Unknown speaker tag [s1]"),
        (["--input", "a\x1b[31mb c"], "control character U+001B"),
        (["--input", "a \x00 b"], "control character U+0000"),
        (["--input", '<break time="-1s"/> a'], "is malformed"),
        (["--input", "a <break> b"], "is malformed"),
        (["--input", 'a <break time="1000000s"/> b'], "is too long: at most 120 seconds"),
        (["--input", 'a <break time="1s"'], "is malformed"),
    ],
)
def test_bad_flags_and_scripts(
    given: list[str], message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.wav"
    model = [] if {"--hf", "--config"} & set(given) else flags("tiny8")
    arguments = [*model, *HELLO, *given, str(output)]  # the last of two equal flags counts
    refused(arguments, 2, message, capfd, output)


def test_no_output_name(capfd: pytest.CaptureFixture[str]) -> None:
    refused([], 2, "the following arguments are required: OUTPUT.wav", capfd)
    refused(["voice", "a.wav"], 2, "the following arguments are required: -o/--output", capfd)
    refused(["voice", "a.wav", "-o", "a.wav"], 2, "must end in .voice", capfd)


def test_a_10_mb_script(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "long.txt"
    script.write_text("word " * 2_000_000, encoding="utf-8")
    refused([*flags("tiny8"), "--input", str(script), "o.wav"], 2, "more than 100,000 characters", capfd)
    with pytest.raises(UsageError, match="more than 100,000 characters"):
        engine("tiny8").generate("word " * 2_000_000)


def silence(path: Path) -> None:
    soundfile.write(path, np.zeros(24000), 24000)


def ten_minutes(path: Path) -> None:
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 600 * 2000), 2000)


def no_samples(path: Path) -> None:
    soundfile.write(path, np.zeros(0), 24000)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_bytes(b""), "cannot be read as sound"),
        (no_samples, "is empty"),
        (silence, "is silent"),
        (lambda path: path.write_text("I am a text, not a sound.\n" * 50), "cannot be read as sound"),
        (ten_minutes, "is longer than 120 seconds"),
        (lambda path: path.mkdir(), "There is no prefix audio"),
    ],
    ids=["empty", "no samples", "silent", "text", "10 minutes", "folder"],
)
def test_bad_prefix_audio(
    make: Callable[[Path], object], message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "a.wav")
    words = ["--prefix-words-1", str(TINY8 / "spk1.words.json")]
    given = [*flags("tiny8"), *HELLO, "--prefix-speaker-1", str(tmp_path / "a.wav"), *words]
    refused([*given, str(tmp_path / "o.wav")], 2, message, capfd, tmp_path / "o.wav")


WORD = {"text": "Hello", "start": 0.1, "end": 0.4}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("{}", "is not a list of words"),
        ("[]", "holds no words"),
        (json.dumps([{"text": "Hello"}]), "is not like"),
        (json.dumps([WORD | {"start": "0.1"}]), "its start must be a number"),
        (json.dumps([WORD | {"end": -1}]), "its end must be a number"),
        (json.dumps([WORD | {"text": "a\x1b[0mb"}]), "control character U+001B"),
        (json.dumps([WORD | {"start": 0.5, "end": 0.9}, WORD]), "before the word listed before it"),
        (json.dumps([WORD, WORD | {"start": 0.2, "end": 0.5}]), "before the last one ends"),
        (json.dumps([WORD | {"end": 99}]), "after the audio (1.60 s)"),
    ],
)
def test_bad_words_files(content: str, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "words.json"
    path.write_text(content, encoding="utf-8")
    given = [*flags("tiny8"), *HELLO, *VOICE_1, "--prefix-words-1", str(path), str(tmp_path / "o.wav")]
    refused(given, 2, message, capfd, tmp_path / "o.wav")


NORM = "transformer.norm.weight"


@pytest.mark.parametrize(
    ("change", "extra", "message"),
    [
        (lambda tensors: tensors.pop(NORM), [], f"lacks tensor '{NORM}'"),
        (lambda tensors: tensors.update({NORM: torch.ones(3)}), [], f"Tensor {NORM}"),
        (lambda tensors: tensors.update(surprise=torch.ones(3)), ["--strict"], "has tensor 'surprise'"),
        (lambda tensors: tensors.update({NORM: torch.ones(64, dtype=torch.int8)}), [], "holds I8, not floats"),
    ],
    ids=["missing", "wrong shape", "unknown, strict", "integers"],
)
def test_bad_weights(
    change: Callable[[dict[str, torch.Tensor]], object],
    extra: list[str],
    message: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    tensors = load_file(TINY8 / "model.safetensors")
    change(tensors)
    path = tmp_path / "model.safetensors"
    save_file(tensors, path)
    given = [*flags("tiny8"), "--weights", str(path), *HELLO, *extra]
    refused([*given, str(tmp_path / "o.wav")], 1, message, capfd, tmp_path / "o.wav")


def test_an_unknown_tensor_is_a_warning(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.safetensors"
    save_file(load_file(TINY8 / "model.safetensors") | {"surprise": torch.ones(3)}, path)
    assert main([*flags("tiny8"), "--weights", str(path), *HELLO, str(tmp_path / "o.wav")]) == 0
    err = capfd.readouterr().err
    assert err == f"dia2: warning: {path} has tensor 'surprise' that the model does not know; ignored.\n"


@pytest.mark.parametrize(
    ("flag", "content", "message"),
    [
        ("--weights", None, "There is no weights file"),
        ("--weights", b"", "is not a whole safetensors file"),
        ("--weights", b"\xff" * 1000, "is not a whole safetensors file"),
        ("--weights", (TINY8 / "model.safetensors").read_bytes()[:-1000], "is not a whole safetensors file"),
        ("--config", None, "There is no config file"),
        ("--config", b"{", "is not a JSON file"),
        ("--config", b"[1]", "the file must be an object, not a list"),
        ("--config", b'{"data": {}}', "field data.channels is missing"),
        (
            "--config",
            (TINY8 / "config.json").read_bytes().replace(b'"n_layer": 3', b'"n_layer": "3"'),
            "field model.decoder.n_layer must be a whole number, not a string",
        ),
    ],
)
def test_bad_checkpoint_files(
    flag: str, content: bytes | None, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    given = [*flags("tiny8"), flag, str(path), *HELLO]
    refused([*given, str(tmp_path / "o.wav")], 1, message, capfd, tmp_path / "o.wav")


@pytest.mark.parametrize(
    ("flag", "message"), [("--tokenizer", "No tokenizer can be loaded from"), ("--mimi", "config.json of Mimi codec")]
)
def test_a_folder_without_tokenizer_or_codec(
    flag: str, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    given = [*flags("tiny8"), flag, str(tmp_path), *HELLO]
    refused([*given, str(tmp_path / "o.wav")], 1, message, capfd, tmp_path / "o.wav")


def test_a_tokenizer_with_code_of_its_own_is_not_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"auto_map": {"AutoTokenizer": ["evil.Evil", None]}, "tokenizer_class": "Evil"}), encoding="utf-8"
    )
    (folder / "evil.py").write_text(
        f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\nclass Evil: pass\n", encoding="utf-8"
    )
    given = [*flags("tiny8"), "--tokenizer", str(folder), *HELLO, str(tmp_path / "o.wav")]
    refused(given, 1, "No tokenizer can be loaded from", capfd, tmp_path / "o.wav")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["missing/out.wav", ".", "/proc/out.wav", "/dev/null/out.wav"])
def test_bad_output_folders(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    output = str(tmp_path / name)
    refused([*flags("tiny8"), *HELLO, output], 2, output.rstrip("/.").removesuffix("/out.wav"), capfd)


def test_a_read_only_output_folder(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:  # root, who may run the tests, can write to any folder
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    refused([*flags("tiny8"), *HELLO, str(tmp_path / "o.wav")], 2, "is not writable (Permission denied)", capfd)


def test_outputs_never_replace_inputs_or_one_another(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    script, link = tmp_path / "input.txt", tmp_path / "link.wav"
    script.write_text("[S1] Hello.", encoding="utf-8")
    link.symlink_to(script)
    for output in (script, link):
        given = [*flags("tiny8"), "--input", str(script), str(output)]
        refused(given, 2, f"{output} is an input of this run", capfd)
    given = [*flags("tiny8"), *HELLO, "--words", str(tmp_path / "a.wav"), str(tmp_path / "a.wav")]
    refused(given, 2, "a.wav is named for two outputs", capfd, tmp_path / "a.wav")
    assert script.read_text(encoding="utf-8") == "[S1] Hello."


def test_an_empty_repo_name_is_not_the_embedded_checkpoint(capfd: pytest.CaptureFixture[str]) -> None:
    refused(["--hf", "", *HELLO, "o.wav"], 2, "The repo's name is empty", capfd)


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dia2", *flags("tiny8"), *HELLO, "--json", str(tmp_path / "o.wav")]
    reader, writer = os.pipe()
    os.close(reader)  # as `| head` does after it has seen enough
    run = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (run.returncode, run.stderr) == (0, "")
    assert (tmp_path / "o.wav").exists()


def test_a_codec_that_asks_for_more_than_its_file_holds(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = Path(shutil.copytree(TINY8 / "mimi", tmp_path / "mimi"))
    raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for change, message in (
        ({"num_hidden_layers": 20_000}, "field num_hidden_layers must be 0 to 256, not 20000"),
        ({"hidden_size": 1 << 17, "upsample_groups": 1 << 17}, ", the config asks for ["),
    ):
        (folder / "config.json").write_text(json.dumps(raw | change), encoding="utf-8")
        given = [*flags("tiny8"), "--mimi", str(folder), *HELLO, str(tmp_path / "o.wav")]
        refused(given, 1, message, capfd, tmp_path / "o.wav")


@pytest.mark.slow
def test_a_full_disk(tmp_path: Path) -> None:
    output = tmp_path / "out.wav"
    output.write_bytes(b"old")
    limit = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)); "
    program = f"import sys; from dia2.cli import main; {limit}sys.exit(main(sys.argv[1:]))"
    run = subprocess.run(
        [sys.executable, "-c", program, *flags("tiny8"), *HELLO, str(output)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert run.stderr == (
        f"dia2: error: {output} could not be written (File too large): free some space or write elsewhere.\n"
    )
    assert output.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [output]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 2000  # the limit was the child's


@pytest.mark.slow
def test_hub_errors_are_one_line_each(tmp_path: Path) -> None:
    repo = published_repo(tmp_path / "repo")
    no_weights = Path(shutil.copytree(repo, tmp_path / "no_weights"))
    (no_weights / "model.safetensors").unlink()
    program = """
        import sys, time
        time.sleep = lambda _: None  # the client pauses between its tries
        from dia2.cli import main
        for repo in sys.argv[2:]:
            print(main(["--hf", repo, "--input", "[S1] Hi.", sys.argv[1]]))
    """

    def run(url_of: FakeHub, repos: list[str]) -> tuple[list[str], list[str]]:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "o.wav"), *repos],
            env=url_of.env(tmp_path / "cache"),
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.split(), [line for line in done.stderr.splitlines() if line.startswith("dia2: ")]

    with FakeHub({"some/no-weights": no_weights, "some/no-codec": repo}) as hub:
        codes, errors = run(hub, ["no/such-repo", "some/no-weights", "some/no-codec"])
    assert codes == ["1", "1", "1"]
    assert errors == [
        "dia2: error: There is no hub repo no/such-repo, or it is private: check its name.",
        "dia2: error: Hub repo some/no-weights has no file model.safetensors: is it a Dia2 checkpoint?",
        "dia2: error: There is no hub repo kyutai/mimi, or it is private: check its name.",
    ]
    codes, errors = run(hub, ["never/seen"])  # nobody answers any more
    assert codes == ["1"]
    assert len(errors) == 1
    assert "The hub cannot be reached and" in errors[0]
    assert not (tmp_path / "o.wav").exists()


def test_debug_shows_the_traceback(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*flags("tiny8"), "--input", "[S3]", "--debug", str(tmp_path / "o.wav")]) == 2
    err = capfd.readouterr().err
    assert err.startswith("Traceback")
    assert err.splitlines()[-1].startswith("dia2: error: Unknown speaker tag")


def test_a_fault_of_ours_is_one_line_too(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr(Dia2, "generate", broken)
    refused([*flags("tiny8"), *HELLO, str(tmp_path / "o.wav")], 1, "ZeroDivisionError: surprise", capfd)
