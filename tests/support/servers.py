"""`dia2 serve` as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from .ports import free_port

PATIENCE = 60.0  # seconds that loading may take


def wait_for(client: httpx.Client, alive: Callable[[], bool], path: str = "/readyz") -> None:
    """Until a server takes requests, or is no more; `/healthz`: until it answers."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and alive():
        try:
            if client.get(path).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)


@contextmanager
def started(*arguments: str, log: Path | None = None) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A server of nano that is ready, and its address; it is killed in the end.

    Args:
        *arguments: of the command.
        log: the file that it writes to.
    """
    port = free_port()
    command = [sys.executable, "-m", "dia2", "serve", "--device", "cpu", "--port", str(port), *arguments]
    with (
        Path(log or os.devnull).open("wb") as target,
        subprocess.Popen(command, stdout=target, stderr=subprocess.STDOUT) as process,
    ):
        address = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=address) as client:
            wait_for(client, lambda: process.poll() is None)
        try:
            yield process, address
        finally:
            process.kill()
