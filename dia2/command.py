"""What every command line of the project does alike: bad usage in a line, warnings in a line, an error as an exit code.

Exit codes: 0 done, 1 something failed, 2 bad usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from dia2.checks import is_file
from dia2.console import tell
from dia2.errors import Dia2Error, UsageError
from dia2.memory import shortage


class Parser(argparse.ArgumentParser):
    """Bad usage is one line, like every other error."""

    def error(self, message: str) -> NoReturn:
        """Print it and exit with 2."""
        tell("error", f"{message}; see {self.prog} --help", program=self.prog.split()[0])
        sys.exit(2)


def guarded(run: Callable[[], int], *, program: str, save_memory: str, debug: bool, verbose: bool) -> int:
    """Run a command; returns its exit code, or that of the error that it ended with.

    Args:
        run: the command.
        program: what its messages begin with.
        save_memory: what to do when memory runs out.
        debug: print tracebacks too.
        verbose: the package's log is shown already.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without our characters still gets the text
    try:
        with _warnings_as_lines(program, verbose):
            return run()
    except KeyboardInterrupt:
        tell("note", "interrupted", program)
        return 130
    except BrokenPipeError:  # `dia2 … | head`: nobody reads on, and Python would complain once more at its exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001  # becomes one line here; --debug shows all
        if debug:
            traceback.print_exc()
        if (lack := shortage(error)) is not None:
            tell("error", f"{lack}: {save_memory}.", program)
            return 1
        if isinstance(error, Dia2Error):
            tell("error", str(error), program)
        else:
            tell(
                "error",
                f"{type(error).__name__}: {error}. This is a fault in {program}: run again with --debug to see where.",
                program,
            )
        return 2 if isinstance(error, UsageError) else 1


class _WarningLines(logging.Handler):
    def __init__(self, program: str) -> None:
        super().__init__(logging.WARNING)
        self._program = program

    def emit(self, record: logging.LogRecord) -> None:
        tell("warning", record.getMessage(), self._program)


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
            warnings.showwarning = lambda message, *_: tell("warning", str(message), program)
            yield
    finally:
        logger.removeHandler(handler)


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
            raise UsageError(f"{path} is read by this very run: write somewhere else.")
        if os.path.realpath(path) in map(os.path.realpath, outputs[:i]):
            raise UsageError(f"{path} is named for two results: give each a file of its own.")
