"""What `dia2 trace show|watch|findings|frames|grid|diff|prefix|hooks|html|export` runs.

Traces of Dia have the same views, of one script at a time. A subcommand is a function that takes the parsed flags, with
a place in `VIEWS`, and a call of `_command` in `dia2.trace_flags`.
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


def run_trace(args: argparse.Namespace) -> int:
    """Run what `dia2 trace` parsed; returns the exit code."""
    return VIEWS[args.view](args) or 0


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


VIEWS: dict[str, Callable[[argparse.Namespace], int | None]] = {  # by subcommand; each gives the exit code, if not 0
    "show": _show,
    "watch": _watch,
    "findings": _findings,
    "frames": _frames,
    "grid": _grid,
    "diff": _diff,
    "prefix": _prefix,
    "hooks": _hooks,
    "html": _html,
    "export": _export,
}
