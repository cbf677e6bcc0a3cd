"""How uvicorn serves the application: connections have bounds, of number, of size, of how long they let it wait."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from dia2.serve.errors import RETRY_SECONDS
from dia2.serve.limits import Limits

_HEAD = 1 << 16  # bytes of a request's head
_FULL = f"HTTP/1.1 503 Service Unavailable\r\nRetry-After: {RETRY_SECONDS}\r\nContent-Length: 0\r\n"
_FULL += "Connection: close\r\n\r\n"


def configured(app: ASGIApp, limits: Limits, host: str, port: int, level: str) -> uvicorn.Config:
    """Settings of a server.

    Args:
        app: what is served.
        limits: of it.
        host: where it listens.
        port: likewise; 0: any that is free.
        level: of its log.
    """

    class Http(_Http):
        bounds = limits

    class Socket(_Socket):
        bounds = limits

    return uvicorn.Config(
        app,
        host,
        port,
        log_level=level,
        http=Http,
        ws=Socket,
        ws_max_size=limits.body,
        ws_per_message_deflate=False,  # sound does not shrink, and what is sent could grow
        h11_max_incomplete_event_size=_HEAD,
        timeout_graceful_shutdown=int(limits.grace) + 2,
        server_header=False,
    )


class _Reader(asyncio.Protocol):
    """Cuts off who does not take what is sent."""

    bounds: Limits
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _full: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """More is to be sent than is taken."""
        super().pause_writing()
        self._full = self.loop.call_later(self.bounds.patience, self.transport.abort)

    def resume_writing(self) -> None:
        """Some of it was taken."""
        self._taken()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there any more."""
        self._taken()
        super().connection_lost(exc)

    def _taken(self) -> None:
        if self._full is not None:
            self._full.cancel()
            self._full = None


class _Socket(_Reader, WebSocketsSansIOProtocol):
    """A WebSocket."""


class _Http(_Reader, H11Protocol):
    """A connection, which is to be asked something soon, and all of it."""

    _silent: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Somebody has come."""
        super().connection_made(transport)
        if len(self.connections) > self.bounds.connections:
            transport.write(_FULL.encode())
            transport.close()
            return
        self._wait()

    def data_received(self, data: bytes) -> None:
        """More of a request."""
        super().data_received(data)
        self._wait()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """What comes from now on is not HTTP."""
        self._asked()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there any more."""
        self._asked()
        super().connection_lost(exc)

    def _wait(self) -> None:
        """For the head of a request, unless there is one that is being answered."""
        if self.transport.get_protocol() is not self:
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self._asked()
        elif self._silent is None:
            self._silent = self.loop.call_later(self.bounds.patience, self.transport.abort)

    def _asked(self) -> None:
        if self._silent is not None:
            self._silent.cancel()
            self._silent = None
