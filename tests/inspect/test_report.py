"""`Trace.report`: what the terminal shows, as text; and rows by their numbers."""

import json
from typing import Any

import pytest
from rich.console import Console

from dia2.common.errors import UsageError
from dia2.inspect import load, sample
from dia2.inspect.views.console import (
    print_findings,
    print_frame,
    print_frames,
    print_grid,
    print_prefix,
    print_show,
)

from .test_console_cli import run
from .test_console_trace import View, recorded, shown

ROWS_9_10 = """\
✓  9  Token constants
      dia2/runtime/context.py → token_ids()
      trigger    config and the tokenizer's vocabulary
      mutations  creates TokenIds
      outputs    new_word 2, pad 3, bos 1, zero 7, [S1] 1022, [S2] 1023, audio pad 257, bos 256
✓ 10  StateMachine init
      dia2/runtime/state_machine.py → StateMachine.__init__()
      trigger    token ids, second_stream_ahead 2
      mutations  creates StateMachine
      outputs    max_padding 6, initial_padding 0"""

VIEWS: dict[str, tuple[View, dict[str, Any]]] = {
    "show": (lambda trace, console: print_show(trace, console, times=False), {"times": False}),
    "findings": (lambda trace, console: print_findings(trace, trace.findings(), console), {}),
    "frames": (lambda trace, console: print_frames(trace, console, 30, 60), {"first": 30, "last": 60}),
    "frame": (lambda trace, console: print_frame(trace, console, 57), {"call": 57}),
    "grid": (print_grid, {}),
    "prefix": (print_prefix, {}),
}


@pytest.mark.parametrize("view", VIEWS)
def test_a_report_is_what_the_terminal_shows(view: str, monkeypatch: pytest.MonkeyPatch) -> None:
    printed, options = VIEWS[view]
    monkeypatch.chdir(recorded().parent)
    text = load(recorded().name).report(view, width=90, **options)
    assert text.splitlines() == [line.rstrip() for line in shown(printed, 90).strip("\n").splitlines()]
    assert "\x1b" not in text


def test_rows_by_their_numbers_are_told_in_full() -> None:
    assert sample().report(times=False, rows=(9, 10)) == ROWS_9_10
    assert sample().report(times=False, rows=(9, 9)) == "\n".join(ROWS_9_10.splitlines()[:5])


@pytest.mark.parametrize("rows", [(0, 3), (29, 31), (7, 6)])
def test_rows_that_are_not_there_are_refused(rows: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match=rf"^There are no rows {rows[0]} to {rows[1]}: Dia2 has 1 to 30\.$"):
        print_show(sample(), Console(), rows=rows)


def test_a_view_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError) as error:
        sample().report("\x1bprefixes")
    assert str(error.value) == (
        "There is no view '\\x1bprefixes' of a trace: ask for one of show, findings, frames, frame, grid, prefix."
    )


def test_a_report_is_asked_for_as_its_view_is_printed() -> None:
    assert sample().report("frames") == sample().report("frames", first=0, last=23)
    with pytest.raises(UsageError, match=r"^The view frame takes call, script, times: missing .*'call'\.$"):
        sample().report("frame")
    with pytest.raises(UsageError, match=r"The view grid takes .*unexpected .*'colour'"):
        sample().report("grid", colour=True)
    widths: tuple[Any, ...] = (0, 10_001, "wide")
    for width in widths:
        with pytest.raises(UsageError, match="The width must be 1 to 10000 columns, not"):
            sample().report(width=width)


def test_rows_are_chosen_of_the_facts_too(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "show", str(sample().path), "--json", "--rows", "7-8")
    assert (code, [row["number"] for row in json.loads(out)["rows"]]) == (0, [7, 8])


@pytest.mark.parametrize("rows", ["7-", "-7", "9" * 5000, "7-8-9", ""])
def test_rows_that_are_no_numbers_are_refused_in_a_line(capsys: pytest.CaptureFixture[str], rows: str) -> None:
    code, _, err = run(capsys, "show", str(sample().path), f"--rows={rows}")
    assert code == 2
    assert "give numbers of rows, as 7-12 or 17, not" in err
    assert len(err) < 500


def test_the_command_takes_rows(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "show", str(sample().path), "--no-times", "--width", "100", "--rows", "9-10")
    assert (code, out.strip("\n")) == (0, ROWS_9_10)
    code, out, err = run(capsys, "show", str(sample().path), "--rows", "ten")
    assert (code, out) == (2, "")
    assert "give numbers of rows, as 7-12 or 17, not 'ten'" in err
