"""The command line of traces: `dia2 trace show|watch|findings|frames|grid|diff|prefix|hooks|html|export`.

Traces of Dia have the same views, of one script at a time. A subcommand is a function that takes the parsed flags, and
a call of `_command` in `add_trace_commands`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from rich.console import Console

from dia2.common.checks import short
from dia2.common.errors import UsageError
from dia2.common.files import check_writable
from dia2.inspect.trace.load import load
from dia2.inspect.trace.recordings import told_of
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views import console as views
from dia2.inspect.views.console.page import plain
from dia2.inspect.views.console.text import WIDEST

_MOST_DIGITS = 4  # of a row's number

Run = Callable[[argparse.Namespace], int | None]  # the exit code, if it is not 0


def add_trace_commands(parser: argparse.ArgumentParser) -> None:
    """Give `parser`, which is that of `dia2 trace`, its subcommands; `run_trace` runs what they parse."""
    commands = parser.add_subparsers(dest="view", required=True, metavar="VIEW")

    show = _command(commands, "show", _show, "what a run was, and the rows it went through")
    show.add_argument("--full", action="store_true", help="all that each row read, changed and gave")
    show.add_argument("--rows", type=_rows, metavar="FIRST-LAST", help="these rows alone, in full (also one: 17)")

    _command(commands, "watch", _watch, "a run while it is recorded, until it is over")

    found = _command(commands, "findings", _findings, "what is wrong with a run, where, and what to do; worst first")
    found.add_argument("--hear", action="store_true", help="also listen with Whisper for words that came out otherwise")
    found.add_argument("--whisper", default="base", metavar="MODEL", help="the one to listen with (default: base)")
    found.add_argument(
        "--fail-on", choices=("bad", "note"), help="exit with 1 if there is a finding as bad as this, or worse"
    )
    _add_script(found)

    frames = _command(commands, "frames", _frames, "the calls of the transformer, a line each; or one of them in full")
    frames.add_argument("--from", dest="first", type=int, metavar="CALL", help="first call (default: 0)")
    frames.add_argument("--to", dest="last", type=int, metavar="CALL", help="last call (default: 23 after the first)")
    frames.add_argument("--word", help="start a little before the call that took this word")
    frames.add_argument("--call", type=int, help="show one call in full")
    _add_script(frames)

    grid = _command(commands, "grid", _grid, "the delayed grid of codes, and where each cell comes from")
    grid.add_argument("--from", dest="first", type=int, metavar="COLUMN", help="first column, of Dia row (default: 0)")
    grid.add_argument("--to", dest="last", type=int, metavar="COLUMN", help="last one (default: what fits)")
    grid.add_argument(
        "--codes",
        action=argparse.BooleanOptionalAction,
        help="show the codes, or only where they come from (default: the codes, if there is room for all)",
    )
    _add_script(grid)

    diff = _command(commands, "diff", _diff, "the first call where two runs part, and why")
    diff.add_argument("other", metavar="OTHER", help="the trace to compare with")
    diff.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="WHAT",
        help="something that may differ, as the report names it, or a pattern as 'codebook *'; may be repeated",
    )

    _command(commands, "prefix", _prefix, "what became of a voice clone's prefix, and what is wrong with it")

    _command(commands, "hooks", _hooks, "every hook point; with a trace, which of them it has", path_needed=False)

    html = _command(commands, "html", _html, "write the explorer of a trace as one HTML file, for any browser")
    html.add_argument("-o", "--output", required=True, metavar="FILE", help="where to write it")
    html.add_argument("--other", metavar="TRACE", help="a second trace, shown beside it with what differs marked")
    html.add_argument(
        "--call", type=int, metavar="CALL", help="where to begin (default: the first, or where they part)"
    )
    html.add_argument(
        "--no-voice", dest="voice", action="store_false", help="leave out the recordings of the prefix, and its codes"
    )
    html.add_argument("--no-notes", dest="notes", action="store_false", help="leave out the notes pinned to calls")
    _add_script(html)

    export = _command(commands, "export", _export, "write a trace's tables as Parquet files")
    export.add_argument("-o", "--output", required=True, metavar="FOLDER", help="where to write them")


def run_trace(args: argparse.Namespace) -> int:
    """Run what `dia2 trace` parsed; returns the exit code."""
    run: Run = args.run
    return run(args) or 0


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Run,
    text: str,
    *,
    path_needed: bool = True,
) -> argparse.ArgumentParser:
    """A subcommand on a trace, with the flags that all have."""
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.add_argument("path", metavar="TRACE", nargs=None if path_needed else "?", help="folder that --trace wrote")
    parser.add_argument("--json", action="store_true", help="print the facts as one JSON document")
    parser.add_argument("--no-times", dest="times", action="store_false", help="leave out wall times and dates")
    parser.add_argument(
        "--width", type=int, metavar="COLUMNS", help="lay out for this many columns (default: the terminal's)"
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    parser.set_defaults(run=run)
    return parser


def _add_script(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--script", type=int, metavar="N", help="of a batch of Dia: which script, counted from 1")


def _which(trace: Trace[Any], number: int | None) -> int:
    """The script to show, counted from 0; `number` counts from 1, `None` is the first.

    Raises:
        UsageError: there is no such script.
    """
    number = 1 if number is None else number
    if not 1 <= number <= trace.scripts:
        if not trace.adapter.batched:
            raise UsageError(f"There is no script {number}: a run of {trace.adapter.title} has one.")
        has = "one script" if trace.scripts == 1 else f"scripts 1 … {trace.scripts}"
        raise UsageError(f"There is no script {number}: {trace.path} has {has}.")
    return number - 1


def _rows(text: str) -> tuple[int, int]:
    """`7-12` or `7` as numbers of rows."""
    first, to, last = text.partition("-")
    numbers = (first, last) if to else (first, first)
    if not all(number.isdecimal() and len(number) <= _MOST_DIGITS for number in numbers):
        raise argparse.ArgumentTypeError(f"give numbers of rows, as 7-12 or 17, not {short(text)}")
    return int(numbers[0]), int(numbers[1])


def _console(args: argparse.Namespace) -> Console:
    if args.width is not None and not 1 <= args.width <= WIDEST:
        raise UsageError(f"--width must be 1 to {WIDEST}, not {short(args.width)}.")
    return Console(width=args.width)


def _print_json(facts: object) -> None:
    print(views.to_json(facts))  # noqa: T201  # the command's output


def _show(args: argparse.Namespace) -> None:
    trace, console = load(args.path), _console(args)
    if args.json:
        _print_json(views.show_facts(trace, times=args.times, rows=args.rows))
    else:
        views.print_show(trace, console, times=args.times, full=args.full, rows=args.rows)


def _watch(args: argparse.Namespace) -> None:
    facts = views.watch(args.path, None if args.json else _console(args))
    if args.json:
        _print_json(facts)


def _findings(args: argparse.Namespace) -> int:
    trace, console = load(args.path), _console(args)
    tts = None if trace.adapter.witness is None else trace.adapter.load("witness")(trace)
    found = trace.findings(tts, hear=args.hear, whisper=args.whisper, script=_which(trace, args.script))
    if args.json:
        _print_json(views.findings_facts(found))
    else:
        views.print_findings(trace, found, console)
    failing = {"bad": ("bad",), "note": ("bad", "note"), None: ()}[args.fail_on]
    return int(any(one.severity in failing for one in found))


def _frames(args: argparse.Namespace) -> None:
    if args.call is not None and (args.first, args.last, args.word) != (None, None, None):
        raise UsageError("--call shows one call: leave out --from, --to and --word.")
    trace, console = load(args.path), _console(args)
    script = _which(trace, args.script)
    if args.call is not None:
        if args.json:
            _print_json(views.frame_facts(trace, args.call, times=args.times, script=script))
        else:
            views.print_frame(trace, console, args.call, times=args.times, script=script)
        return
    first, last = views.choose_calls(trace, args.first, args.last, args.word)
    if args.json:
        _print_json(views.frames_facts(trace, first, last, times=args.times, script=script))
    else:
        views.print_frames(trace, console, first, last, times=args.times, script=script)


def _grid(args: argparse.Namespace) -> None:
    trace, console = load(args.path), _console(args)
    script = _which(trace, args.script)
    if args.json:
        _print_json(views.grid_facts(trace, args.first, args.last, script=script))
    else:
        views.print_grid(trace, console, args.first, args.last, codes=args.codes, script=script)


def _diff(args: argparse.Namespace) -> None:
    a, b, console = load(args.path), load(args.other), _console(args)
    if args.json:
        _print_json(views.diff_facts(a, b, args.ignore))
    else:
        views.print_diff(a, b, console, args.ignore)


def _prefix(args: argparse.Namespace) -> None:
    trace, console = load(args.path), _console(args)
    if args.json:
        _print_json(views.prefix_facts(trace))
    else:
        views.print_prefix(trace, console)


def _hooks(args: argparse.Namespace) -> None:
    trace, console = None if args.path is None else load(args.path), _console(args)
    if args.json:
        _print_json(views.hooks_facts(trace))
    else:
        views.print_hooks(console, trace)


def _html(args: argparse.Namespace) -> None:
    trace, console = load(args.path), _console(args)
    from dia2.inspect.views.explorer import to_html

    check_writable(args.output)
    other = None if args.other is None else load(args.other)
    script = _which(trace, args.script)
    options = {"other": other, "call": args.call, "script": script, "voice": args.voice, "notes": args.notes}
    path = to_html(trace, args.output, **options)
    shown = [each for each in (trace, other) if each is not None]
    contains = told_of(shown) if args.voice else ""
    if args.json:
        _print_json({"path": str(trace.path), "file": str(path), "bytes": path.stat().st_size, "contains": contains})
        return
    console.print(plain(path), soft_wrap=True, highlight=False)
    if contains:
        console.print(plain(contains), soft_wrap=True, highlight=False)


def _export(args: argparse.Namespace) -> None:
    trace, console = load(args.path), _console(args)
    written = [str(path) for path in trace.to_parquet(args.output)]
    if args.json:
        _print_json({"path": str(trace.path), "files": written})
        return
    for path in written:
        console.print(plain(path), soft_wrap=True, highlight=False)
