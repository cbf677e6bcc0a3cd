"""A step of `gpu.py` in a process of its own: one that dies, or hangs, leaves the others as they are."""

from __future__ import annotations

import faulthandler
import importlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from gpu_plan import Step

Listen = Callable[[str, Mapping[str, Any]], None]
READY, END = "ready", "end"  # what a process says of itself, before and after its step
PATIENCE = 3.0  # seconds for a process to end that has said all, or is dying
TAIL = 2000  # characters of a log that are kept of a step that did not end well


class Child:
    """A process that is about to do a step; it has time to import what it needs before it may begin."""

    def __init__(self, step: Step, folder: Path, preload: Sequence[str], start: str) -> None:
        """Start it.

        Args:
            step: what it will do.
            folder: for its log and its temporary files.
            preload: modules to import before any other.
            start: how, as `multiprocessing` names it.
        """
        self._step = step
        self.log = folder / f"{step.name.replace(' ', '-')}.log"
        context: Any = multiprocessing.get_context(start)
        self._talk, theirs = context.Pipe()
        self._process = context.Process(target=_child, args=(theirs, step, str(self.log), list(preload)))
        self._process.start()
        theirs.close()

    def run(self, seconds: float, left: float, listen: Listen) -> str:
        """Let it begin, and hand on all it says; returns how it ended: `end`, `cut`, or `died`.

        Args:
            seconds: that it may take, once it has imported what it needs.
            left: that there are for both.
            listen: is called with what it says.
        """
        until = time.monotonic() + left
        patience = 0.0
        try:
            how = self._hear(until, lambda kind, _: kind == READY)
            if how == "end":
                seconds = min(seconds, max(0.0, until - time.monotonic()))
                self._talk.send(seconds)

                def over(kind: str, content: Mapping[str, Any]) -> bool:
                    if kind != END:
                        listen(kind, content)
                    return kind == END

                how = self._hear(time.monotonic() + seconds, over)
            patience = PATIENCE if how != "cut" else 0.0
            return how
        finally:
            self.end(patience)

    def _hear(self, until: float, over: Callable[[str, Mapping[str, Any]], bool]) -> str:
        try:
            while (left := until - time.monotonic()) > 0:
                if self._talk in wait([self._talk, self._process.sentinel], timeout=left):
                    if over(*self._talk.recv()):
                        return "end"
                elif not self._process.is_alive():
                    return "died"
        except (EOFError, ConnectionError):
            return "died"
        return "cut"

    @property
    def exit(self) -> str:
        """How the process ended, in words."""
        code = self._process.exitcode
        if code is None or code >= 0:
            return f"exit code {code}"
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"

    def tail(self, most: int | None = TAIL) -> str:
        """The end of what it printed, or all of it."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return text if most is None else text[-most:]

    def end(self, patience: float = 0.0) -> None:
        """End it, and what it started; `patience` is for one that is ending by itself."""
        self._process.join(patience)
        pid = self._process.pid
        try:
            os.killpg(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # nobody is left, or it has not yet made a group of its own
            self._process.kill()
        self._process.join()
        self._talk.close()


def _child(talk: Connection, step: Step, log: str, preload: Sequence[str]) -> None:
    os.setpgid(0, 0)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _print_to(log)
    for name in preload:
        importlib.import_module(name)
    module, _, function = step.work.partition(":")
    work = getattr(importlib.import_module(module), function)
    talk.send((READY, {}))
    seconds = talk.recv()
    faulthandler.dump_traceback_later(max(0.1, seconds - 1), exit=False)  # into the log: where a step hung

    def tell(kind: str, content: Mapping[str, Any]) -> None:
        talk.send((kind, content))

    from gpu_figures import Report

    try:
        work(Report(tell), **step.options)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is what came of this step
        traceback.print_exc()
        first = (str(error).splitlines() or [""])[0]
        tell("broke", {"error": f"{type(error).__name__}: {first}"})
    faulthandler.cancel_dump_traceback_later()
    tell(END, {})


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "started by multiprocessing"
    wait([parent.sentinel])
    os.killpg(0, signal.SIGKILL)


def _print_to(path: str) -> None:
    """All that this process, or a library in it, prints goes to a file."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
    faulthandler.enable()
