"""What every command line of the project does alike: bad usage in a line, warnings in a line, an error as an exit code.

Exit codes: 0 done, 1 something failed, 2 bad usage, 130 interrupted. Nothing here brings torch.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from dia2.common.checks import is_file, short
from dia2.common.errors import Dia2Error, UsageError, one_line
from dia2.common.memory import shortage
from dia2.common.messages import printable
from dia2.common.terminal import collector, interrupts
from dia2.common.terminal import standard_streams as standard
from dia2.common.terminal.did_you_mean import nearest

Now = TypeVar("Now")  # what a program is told of how far it is


@dataclass(frozen=True)
class Job:
    """A command line that was understood."""

    run: Callable[[], int]  # gives the exit code
    save_memory: str  # what to do when memory runs out
    debug: bool = False  # print tracebacks too
    verbose: bool = False  # the package's log is shown already


class Parser(argparse.ArgumentParser):
    """Bad usage is one line, like every other error."""

    def error(self, message: str) -> NoReturn:
        """Raise it."""
        raise UsageError(f"{message}; see {self.prog} --help")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Argparse's own, but a near-miss of a choice is answered by what was meant."""
        if action.choices is not None and value not in action.choices and (near := nearest(value, action.choices)):
            raise UsageError(f"There is no {short(value)}: did you mean {near}? See {self.prog} --help.")
        super()._check_value(action, value)


def run_command(program: str, argv: Sequence[str] | None, parse: Callable[[list[str]], Job]) -> int:
    """Run a command; returns its exit code, or that of the error that it ended with.

    Args:
        program: what its messages begin with.
        argv: its arguments; `None`: those of this process, which is the command's alone then.
        parse: understands them; may print, and end by SystemExit, as argparse does for --help.
    """
    if argv is None:
        interrupts.watch(program)
        collector.pause()
        standard.keep_descriptors()
    with standard.guarded_streams():
        return _run(program, list(sys.argv[1:] if argv is None else argv), parse)


def _run(program: str, arguments: list[str], parse: Callable[[list[str]], Job]) -> int:
    debug, save_memory = "--debug" in arguments, ""
    try:
        try:
            interrupts.begin_catching()
            job = parse(arguments)
            debug, save_memory = job.debug, job.save_memory
            with _warnings_as_lines(program, job.verbose):
                code = job.run()
        finally:
            try:
                standard.flush_output()  # also of what argparse prints before it ends the command
            finally:
                interrupts.end()  # what follows is a line at most
                collector.end()
    except KeyboardInterrupt:
        return _interrupted(program)
    except BrokenPipeError:  # `dia2 … | head`: nobody reads on
        return 0
    except Exception as error:  # noqa: BLE001  # becomes one line here; --debug shows all
        if interrupts.was_noted():
            return _interrupted(program)
        return _told(error, program, save_memory, debug)
    return _interrupted(program) if interrupts.was_noted() and code == 0 else code


def _interrupted(program: str) -> int:
    _tell("note", "interrupted", program)
    return interrupts.EXIT_CODE


def _told(error: Exception, program: str, save_memory: str, debug: bool) -> int:
    """Say what went wrong; gives the exit code."""
    if debug:
        for line in "".join(traceback.format_exception(error)).splitlines():
            sys.stderr.write(printable(line) + "\n")
    if (lack := shortage(error)) is not None:
        _tell("error", f"{lack}: {save_memory}.", program)
        return 1
    if isinstance(error, Dia2Error):
        _tell("error", str(error), program)
        return 2 if isinstance(error, UsageError) else 1
    kind, said = type(error).__name__, one_line(error)
    _tell("error", f"{kind}: {said}. This is a fault in {program}: run again with --debug to see where.", program)
    return 1


def _tell(kind: str, message: str, program: str) -> None:
    from dia2.common.terminal.summary import tell  # brings rich, which --help does not need

    tell(kind, message, program)


class _WarningLines(logging.Handler):
    def __init__(self, program: str) -> None:
        super().__init__(logging.WARNING)
        self._program = program

    def emit(self, record: logging.LogRecord) -> None:
        _tell("warning", record.getMessage(), self._program)


@contextmanager
def _warnings_as_lines(program: str, verbose: bool) -> Iterator[None]:
    """Show warnings, raised or logged, like every other line; `verbose` has a handler for the log of its own."""
    handler = _WarningLines(program)
    logger = logging.getLogger("dia2")
    if not verbose:
        logger.addHandler(handler)
    try:
        with warnings.catch_warnings():
            for package in ("dia2", "dia"):
                warnings.filterwarnings("always", module=package)  # those of libraries stay as they are
            warnings.showwarning = lambda message, *_: _tell("warning", str(message), program)
            yield
    finally:
        logger.removeHandler(handler)


def add_device_flags(group: argparse._ArgumentGroup) -> None:
    """--device and --dtype."""
    group.add_argument("--device", help="cuda, cuda:N, mps or cpu (default: the best there is)")
    group.add_argument("--dtype", default="auto", help="auto, float32 or bfloat16 (default: %(default)s)")


def add_report_flags(group: argparse._ArgumentGroup, point: str) -> None:
    """--json and --trace, with what a trace holds; `point` is a hook point, for an example."""
    group.add_argument("--json", action="store_true", help="print the summary as JSON")
    group.add_argument("--trace", metavar="FOLDER", help="record the run, for dia2 trace: run.dia2trace")
    group.add_argument("--trace-level", choices=("tokens", "topk", "full"), help="how much (default: topk)")
    group.add_argument("--trace-hooks", metavar="GLOBS", help=f"record these hook points only, such as {point}")


def check_pair(args: argparse.Namespace) -> None:
    """Raise UsageError for --config without --weights, or the other way round."""
    if (args.config is None) != (args.weights is None):
        raise UsageError("--config and --weights belong together: give both.")


def check_trace_flags(args: argparse.Namespace) -> None:
    """Raise UsageError for flags that say what a trace holds, where none is asked for."""
    if args.trace is None and (args.trace_level is not None or args.trace_hooks is not None):
        raise UsageError("--trace-level and --trace-hooks say what a trace holds: give --trace FOLDER too.")


def refuse_clashes(outputs: list[str], inputs: list[str | None]) -> None:
    """Refuse to write over a file that is read, or to write two results to one file.

    Raises:
        UsageError: names the file.
    """
    read = {os.path.realpath(path) for path in inputs if path and is_file(path)}
    for i, path in enumerate(outputs):
        if os.path.realpath(path) in read:
            raise UsageError(f"{path} is an input of this run: write somewhere else.")
        if os.path.realpath(path) in map(os.path.realpath, outputs[:i]):
            raise UsageError(f"{path} is named for two outputs: give each a file of its own.")


def keeping(draw: Callable[[Now], None] | None) -> Callable[[Now], None]:
    """What is done after every frame: from the first on there is something that Ctrl-C must not lose.

    Args:
        draw: draws a bar; `None` where none is shown.
    """

    def after_frame(now: Now) -> None:
        interrupts.something_to_keep()
        if draw is not None:
            draw(now)

    return after_frame
