"""Runs that are recorded while they are spoken: a trace each, the latest of them kept."""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anyio import to_thread

from dia2.common.errors import Dia2Error, one_line
from dia2.common.hooks import observing
from dia2.inspect import load
from dia2.inspect.record.recorder import record
from dia2.inspect.views.explorer.live import Follower
from dia2.inspect.views.explorer.payload import payload
from dia2.serve.errors import refuse

_ID = re.compile(r"[A-Za-z0-9_-]{16}")
_SUFFIX = ".dia2trace"
_POLL = 0.1  # seconds between looks at a run that goes on


@dataclass
class Run:
    """One that is recorded."""

    id: str
    path: Path  # of its trace
    began: float  # Unix time
    script: str
    pieces: list[bytes] = field(default_factory=list)  # packed views of a run that goes on
    over: bool = False


class Runs:
    """By their ids, in the order in which they began."""

    def __init__(self, folder: Path, most: int) -> None:
        """Take up the traces that lie in a folder.

        Args:
            folder: of the traces, made if there is none.
            most: that are kept; the oldest that are over go.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._most = folder, most
        self._runs: dict[str, Run] = {}
        for path in sorted(folder.glob(f"*{_SUFFIX}"), key=lambda path: path.stat().st_mtime):
            if _ID.fullmatch(path.stem):
                self._runs[path.stem] = Run(path.stem, path, path.stat().st_mtime, "", over=True)

    def listed(self) -> list[Run]:
        """The latest first."""
        return list(reversed(self._runs.values()))

    def find(self, name: str) -> Run:
        """The run of an id.

        Raises:
            ApiError: there is none.
        """
        if name not in self._runs:
            refuse("There is no such run, or it is not kept any more.", "id", "run_not_found", 404)
        return self._runs[name]

    def new(self, script: str) -> Run:
        """A run that is about to begin; the oldest ones that are over make room."""
        over = [run for run in self._runs.values() if run.over]
        for run in over[: max(0, len(self._runs) + 1 - self._most)]:
            del self._runs[run.id]
            shutil.rmtree(run.path, ignore_errors=True)
        name = secrets.token_urlsafe(12)
        run = Run(name, self._folder / f"{name}{_SUFFIX}", time.time(), script)
        self._runs[name] = run
        return run

    def forget(self, run: Run) -> None:
        """It never began, and whoever looks at it need not wait."""
        self._runs.pop(run.id, None)
        run.over = True


@contextmanager
def recorded(run: Run) -> Iterator[None]:
    """Record what is spoken inside, and keep it in pieces meanwhile."""
    try:
        with record(run.path) as recorder, observing(Follower(recorder, lambda piece: run.pieces.append(piece))):
            yield
    finally:
        run.over = True
        run.pieces = []  # from now on there is the whole


async def views(run: Run) -> AsyncIterator[bytes]:
    """What the explorer shows of a run, each part with its kind and its length in front.

    Pieces (`p`) while it goes on; in the end the whole (`v`), or why there is none (`e`).
    """
    sent = 0
    while not run.over:
        for piece in run.pieces[sent:]:
            yield _framed(b"p", piece)
            sent += 1
        await asyncio.sleep(_POLL)
    try:
        yield _framed(b"v", await to_thread.run_sync(_whole, run))
    except Dia2Error as error:
        yield _framed(b"e", one_line(error).replace(str(run.path), "the trace").encode())


def _whole(run: Run) -> bytes:
    trace: Any = load(run.path)
    return payload(trace)


def _framed(kind: bytes, content: bytes) -> bytes:
    return kind + len(content).to_bytes(4, "little") + content
