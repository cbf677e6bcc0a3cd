"""Standard streams on a full disk, or closed: a sentence, and nobody's fault."""

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from dia2 import Dia2Error
from dia2.common.terminal.command import Job, run_command
from dia2.common.terminal.summary import tell
from dia2.generation import load_script_text

FULL = "Standard output could not be written (No space left on device): free some space, or send it elsewhere"
CLOSED = "Standard output could not be written (it is closed)"


def run(work: Callable[[], object]) -> int:
    return run_command("dia2", [], lambda _: Job(lambda: (work() and 0) or 0, ""))


pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux alone has a disk that is always full")

WAYS: dict[str, Callable[[], object]] = {
    "a line": lambda: sys.stdout.write("a line\n"),
    "much": lambda: sys.stdout.write("x" * 100_000),
    "a table": lambda: Console().print("a table"),
}


@pytest.mark.parametrize("work", WAYS.values(), ids=WAYS)
def test_a_full_disk_is_told(
    work: Callable[[], object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert run(work) == 1
        full.write("what is written afterwards goes nowhere, and nobody complains")
    assert capsys.readouterr().err == f"dia2: error: {FULL}; files that were written are whole.\n"


@pytest.mark.parametrize("work", WAYS.values(), ids=WAYS)
def test_a_closed_output_is_told(
    work: Callable[[], object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert run(work) == 1
    assert capsys.readouterr().err.startswith(f"dia2: error: {CLOSED}")
    assert run(lambda: None) == 0  # who prints nothing needs none


def test_messages_that_nobody_can_read_do_not_stop_the_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> None:
        tell("note", "listen")
        logging.getLogger("dia2").warning("and mind")
        assert not sys.stderr.isatty()
        sys.stdout.write("done\n")

    monkeypatch.setattr(sys, "stderr", None)
    assert run(work) == 0
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        assert run(work) == 0
    assert capsys.readouterr().out == "done\n" * 2


def test_a_closed_input_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(Dia2Error, match="Standard input is closed"):
        load_script_text("-")
    with (tmp_path / "file").open("w") as writable:
        monkeypatch.setattr(sys, "stdin", writable)
        with pytest.raises(Dia2Error, match="Standard input cannot be read"):
            load_script_text("-")


@pytest.mark.parametrize("program", ["dia2", "dia"])
def test_what_a_shell_closes_or_sends_to_a_full_disk(program: str) -> None:
    for redirected, code, said in (
        (">/dev/full", 1, FULL),
        (">&-", 1, CLOSED),
        ("<&- 2>&-", 0, ""),
        (">/dev/full 2>&-", 1, ""),
        (">/dev/full 2>/dev/full", 1, ""),
    ):
        command = f"exec {sys.executable} -m {program}.cli --version {redirected}"
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
        assert done.returncode == code, (redirected, done.stderr)
        assert said in done.stderr
        assert done.stderr.count("\n") == bool(said)
