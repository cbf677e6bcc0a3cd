"""docs/dia.md agrees with the code: it names every part of `dia`, and what it shows is what comes out."""

import importlib
import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import dia.cli
import dia2.cli
from dia.assets import toy_folder

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "dia.md").read_text(encoding="utf-8")
# What the project's first description of Dia names, by file.
NAMED = {
    "config.py": ["DataConfig", "EncoderConfig", "DecoderConfig", "ModelConfig", "TrainingConfig", "DiaConfig"],
    "layers.py": ["Encoder", "Decoder", "Attention", "SelfAttention", "CrossAttention"],
    "state.py": ["EncoderInferenceState", "KVCache", "DecoderInferenceState", "DecoderOutput"],
    "audio.py": ["apply_audio_delay", "revert_audio_delay"],
    "model.py": ["Dia"],
}
PAIRS = [(file, name) for file, names in NAMED.items() for name in names]


def files() -> dict[str, str]:
    """The table of files: what stands behind each."""
    return dict(re.findall(r"^\| `dia/(\w+\.py)` \| (.*) \|$", PAGE, flags=re.MULTILINE))


@pytest.mark.parametrize(("file", "name"), PAIRS)
def test_what_the_page_says_is_in_a_file_is_there(file: str, name: str) -> None:
    module = importlib.import_module(f"dia.{file.removesuffix('.py')}")
    thing = getattr(module, name)
    assert thing.__module__ == module.__name__
    assert inspect.getdoc(thing)
    assert module.__doc__
    assert f"`{name}`" in files()[file]


def test_the_page_has_every_file() -> None:
    there = {path.name for path in (ROOT / "dia").glob("*.py")} - {"__init__.py", "__main__.py"}
    assert set(files()) == there
    for file, told in files().items():
        module = importlib.import_module(f"dia.{file.removesuffix('.py')}")
        for name in re.findall(r"`(\w+)`", told):
            assert hasattr(module, name), (file, name)


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)


def commands() -> Iterator[tuple[str, str]]:
    """Every command of the page, and what the page says it prints."""
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            yield command, printed


def steady(text: str) -> str:
    """Without what differs from one machine to the next."""
    return re.sub(r"[\d.]+ rows/s", "… rows/s", "".join(f"{line.rstrip()}\n" for line in text.splitlines()))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the page's examples run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


def test_the_commands_print_what_the_page_shows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = list(commands())
    assert len(found) >= 2
    for command, printed in found:
        program, *flags = shlex.split(command)
        assert (dia.cli if program == "dia" else dia2.cli).main(flags) == 0, command
        out, err = capsys.readouterr()
        assert steady(out + err) == steady(printed), command


def test_the_examples_in_python_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "config.json").write_bytes((toy_folder() / "config.json").read_bytes())
    names: dict[str, object] = {}
    for block in blocks("python"):
        exec(compile(block, "docs/dia.md", "exec"), names)
        shown = "".join(f"{line}\n" for line in re.findall(r"^# (.*)$", block, flags=re.MULTILINE))
        assert capsys.readouterr().out == shown, block
