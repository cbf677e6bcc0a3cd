"""A server of a tiny checkpoint, in a thread of this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
import uvicorn

from dia2.runtime.batch.live import OpenBatch
from dia2.runtime.batch.schedule import Event
from dia2.serve.app import application
from dia2.serve.limits import Limits
from dia2.serve.wire import configured

from ..support.ports import free_port
from ..support.reference import engine
from ..support.servers import wait_for


@contextmanager
def served(*, until: str = "/readyz", **options: Any) -> Iterator[httpx.Client]:
    """A client of an application that is ready, or answers at `until`."""
    app = application(options.pop("tts", None) or engine("tiny4"), **{"model": "tiny"} | options)
    port = free_port()
    server = uvicorn.Server(configured(app, options.get("limits") or Limits(), "127.0.0.1", port, "warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            wait_for(client, thread.is_alive, until)
            client.app = app  # type: ignore[attr-defined]  # for tests that look inside
            yield client
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def serve() -> Iterator[Callable[..., httpx.Client]]:
    """Begins servers that end with the test."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(served(**options))


@pytest.fixture(scope="package")
def client() -> Iterator[httpx.Client]:
    """Of one server for all tests that do not change it."""
    with served() as found:
        yield found


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames take as long as those of a larger checkpoint, so that there is something to come in between."""
    frame = OpenBatch.frame

    def slower(batch: OpenBatch) -> list[Event]:
        time.sleep(0.02)
        return frame(batch)

    monkeypatch.setattr(OpenBatch, "frame", slower)
