"""`dia2 trace`: flags, exit codes, JSON on standard output and errors in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dia2.cli import main

from .test_console_show import AT_80 as SHOW_AT_80
from .test_console_show import show
from .test_console_trace import HOSTILE, hostile, recorded, shown


def run(capsys: pytest.CaptureFixture[str], *flags: str) -> tuple[int, str, str]:
    """Exit code, standard output and error of `dia2 trace`."""
    try:
        code = main(["trace", *flags])
    except SystemExit as stop:
        code = int(stop.code or 0)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize(
    "flags",
    [
        ["show"],
        ["frames"],
        ["frames", "--from", "30", "--to", "35"],
        ["frames", "--word", "fine"],
        ["frames", "--call", "57"],
        ["grid"],
        ["grid", "--codes", "--from", "28", "--to", "44"],
        ["hooks"],
    ],
    ids=" ".join,
)
def test_every_view_prints_text_and_one_json_document(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    view, *rest = flags
    for width in ("80", "160"):
        code, out, err = run(capsys, view, str(recorded()), *rest, "--width", width)
        assert (code, err) == (0, "")
        assert out.count("\n") > 5
        assert "\x1b" not in out  # no terminal, no colour
    code, out, err = run(capsys, view, str(recorded()), *rest, "--json")
    assert (code, err) == (0, "")
    assert out.count("\n") == 1
    facts: dict[str, Any] = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert facts["path"] == str(recorded())


def test_no_times_makes_two_outputs_comparable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(recorded().parent)
    code, out, _ = run(capsys, "show", recorded().name, "--no-times", "--full", "--width", "80")
    assert (code, out) == (0, SHOW_AT_80)
    assert out == shown(show, 80)
    for flags in (["show"], ["frames"], ["frames", "--call", "57"]):
        facts = json.loads(run(capsys, flags[0], recorded().name, *flags[1:], "--no-times", "--json")[1])
        assert not any(
            row.get("seconds")
            for row in [facts, *facts.get("rows", []), *facts.get("calls", [])]
            if isinstance(row, dict)
        )


def test_hooks_need_no_trace(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "hooks")
    assert code == 0
    assert out.startswith("phases: begin and end\n  cli.parse ")
    assert json.loads(run(capsys, "hooks", "--json")[1])["path"] is None


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["show", "nowhere"], 1, "There is no trace nowhere"),
        (["frames", "TRACE", "--call", "117"], 1, "There is no call 117"),
        (["frames", "TRACE", "--from", "117"], 2, "There is no call 117"),
        (["frames", "TRACE", "--call", "3", "--to", "5"], 2, "--call shows one call"),
        (["frames", "TRACE", "--word", "\x1b[2J"], 2, "took the word"),
        (["grid", "TRACE", "--from", "-1"], 2, "There is no column -1"),
        (["show", "TRACE", "--width", "0"], 2, "--width must be 1 to 10000"),
        (["show"], 2, "TRACE"),
        (["export", "TRACE"], 2, "--output"),
        (["what"], 2, "invalid choice"),
        ([], 2, "VIEW"),
    ],
    ids=str,
)
def test_errors_are_one_line_with_an_exit_code(
    flags: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(recorded()) if flag == "TRACE" else flag for flag in flags]
    found, out, err = run(capsys, *given)
    assert (found, out) == (code, "")
    assert err.startswith("dia2: error: ")
    assert message in err
    assert err.count("\n") == 1
    assert "\x1b" not in err


def test_debug_shows_where_it_failed(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "show", "nowhere", "--debug")
    assert code == 1
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("dia2: error: There is no trace nowhere")


def test_hostile_words_are_escaped_in_json_and_replaced_in_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(hostile(tmp_path))
    code, out, _ = run(capsys, "frames", path, "--from", "30", "--json")
    assert code == 0
    assert out.rstrip("\n").isascii()
    assert out.rstrip("\n").isprintable()
    words = {call["main"].get("word") for call in json.loads(out)["calls"]}
    assert HOSTILE in words
    code, out, _ = run(capsys, "frames", path, "--from", "30", "--width", "200")
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_export_writes_tables_and_names_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyarrow")
    to = tmp_path / "tables"
    code, out, err = run(capsys, "export", str(recorded()), "-o", str(to))
    assert (code, err) == (0, "")
    assert out.splitlines() == [str(to / "calls.parquet"), str(to / "draws.parquet")]
    assert all(Path(line).is_file() for line in out.splitlines())
    facts = json.loads(run(capsys, "export", str(recorded()), "-o", str(to), "--json")[1])
    assert facts["files"] == out.splitlines()


@pytest.mark.slow
def test_a_terminal_that_knows_ascii_only_still_gets_the_text() -> None:
    command = [sys.executable, "-m", "dia2", "trace", "grid", str(recorded()), "--width", "80"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert b"cb0  +4  ????pppp" in done.stdout
