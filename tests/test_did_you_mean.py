"""Words on the command line that are no command, and texts that are no file's name."""

import os
from pathlib import Path

import pytest

import dia.cli
from dia2 import cli
from dia2.common.terminal.command import Parser
from dia2.common.terminal.did_you_mean import is_text, nearest
from dia2.inspect.cli import VIEWS
from dia2.trace_flags import add_trace_commands


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str], program: str = "dia2") -> str:
    """The one line of an error with exit code 2, in a folder where nothing is written."""
    before = sorted(Path().iterdir())
    assert (dia.cli if program == "dia" else cli).main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"{program}: error: ")
    assert sorted(Path().iterdir()) == before
    return err


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a script, which every output would be made of."""
    monkeypatch.chdir(tmp_path)
    Path("input.txt").write_text("[S1] Another script.")


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["genrate"], "generate"),
        (["genrate", "x.wav"], "generate"),
        (["Generate", "x.wav", "--seed", "1"], "generate"),
        (["gen"], "generate"),
        (["--seed", "1", "genrate"], "generate"),
        (["voise", "a.wav", "-o", "a.voice"], "voice"),
        (["voices"], "voice"),
        (["trce", "show", "x"], "trace"),
        (["show", "run.dia2trace"], "trace show"),
        (["help"], "--help"),
        (["versoin"], "--version"),
    ],
    ids=" ".join,
)
def test_a_near_miss_of_a_command(arguments: list[str], meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    err = refused(arguments, capsys)
    assert f": did you mean {meant}? (A WAV file of that name is written as " in err


@pytest.mark.parametrize("view", ["shwo", "fram", "Grid", "dif", "prefx", "hook", "hmtl", "exprot"])
def test_a_near_miss_of_a_view(view: str, capsys: pytest.CaptureFixture[str]) -> None:
    (meant,) = {nearest(view, cli.VIEWS)} - {None}
    assert f"There is no '{view}': did you mean {meant}? See dia2 trace --help." in refused(["trace", view], capsys)


def test_the_views_are_those_that_there_are() -> None:
    parser = Parser()
    add_trace_commands(parser)
    assert tuple(parser._actions[-1].choices or ()) == cli.VIEWS == tuple(VIEWS)


def test_a_near_miss_of_a_flags_value(capsys: pytest.CaptureFixture[str]) -> None:
    err = refused(["a.wav", "--trace", "run", "--trace-level", "tokns"], capsys)
    assert "There is no 'tokns': did you mean tokens?" in err


def test_a_near_miss_of_dias_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert "There is no command 'genrate': did you mean generate?" in refused(
        ["genrate", "x", "-o", "a.wav"], capsys, "dia"
    )
    for script in ("[S1] Hi.", "Hello there", "input.txt"):
        assert "a script goes after generate" in refused([script, "-o", "a.wav"], capsys, "dia")
    assert "invalid choice: 'abc'" in refused(["abc"], capsys, "dia")


@pytest.mark.parametrize(
    "text",
    ["[S1] hi", "[S1]hi", "Hello there", "Hello there, how are you?", "Hello.", "either way/or another", "a b.mp4"],
)
def test_a_text_in_the_place_of_the_output(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([text], ["generate", text, "--seed", "1"], ["--seed", "1", text]):
        err = refused(arguments, capsys)
        assert "is to be the name of a WAV file: write dia2 hello.wav, and the text after --input." in err
        assert text in err


def test_a_text_after_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    err = refused(["a.wav", "[S1] hi"], capsys)
    assert "unrecognized arguments: [S1] hi; a text to be spoken goes after --input; see dia2 --help" in err


@pytest.mark.parametrize("name", ["a.webm", "a.mp4", "a.xyz", "a.MP3", "a.voice"])
def test_another_format(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = f"Output {name} says {Path(name).suffix}, and only WAV can be written: call it a.wav"
    assert said in refused([name, "--nano"], capsys)
    assert said in refused(["generate", "[S1] Hi.", "-o", name], capsys, "dia")


def test_names_of_files_are_no_texts(tmp_path: Path) -> None:
    spaced = tmp_path / "my music"
    spaced.mkdir()
    os.mkfifo(tmp_path / "a pipe")
    names = ["a.wav", "my song.wav", "[S1] hi.WAV", "out", "take[1]", "generate.wav", "/dev/null", f"{spaced}/out"]
    for name in (*names, str(tmp_path / "a pipe")):
        assert not is_text(name), name


@pytest.mark.parametrize("word", ["noise", "out", "demo", "no", "trail", "x" * 100])
def test_other_words_are_no_commands(word: str) -> None:
    assert nearest(word, cli.COMMANDS) is None
