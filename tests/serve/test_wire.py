"""Connections that ask nothing, never finish, take nothing, or are too many."""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import httpx
import httpx_ws
import pytest

from dia2.serve import wire
from dia2.serve.limits import Limits

from .conftest import served
from .test_socket import Heard, connected, opened, say
from .test_speech import ASKED, speak

HEAD = b"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
SHORT = Limits(patience=0.4, rows=1, queue=0)


@contextmanager
def raw(client: httpx.Client, sent: bytes, receive: int | None = None) -> Iterator[socket.socket]:
    with socket.socket() as connection:
        if receive is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        connection.settimeout(20)
        connection.connect((client.base_url.host, client.base_url.port or 0))
        connection.sendall(sent)
        yield connection


def said(connection: socket.socket) -> bytes:
    """All until the server closes."""
    found = b""
    try:
        while part := connection.recv(65_536):
            found += part
    except ConnectionResetError:
        pass
    return found


@pytest.fixture(scope="module")
def short() -> Iterator[httpx.Client]:
    with served(limits=SHORT) as found:
        yield found


@pytest.mark.parametrize("sent", [b"", b"GET /heal", HEAD])
def test_who_asks_nothing_is_cut_off(short: httpx.Client, sent: bytes) -> None:
    began = time.monotonic()
    with raw(short, sent) as connection:
        assert said(connection) == b""
    assert 0.3 < time.monotonic() - began < 5


def test_a_head_that_drips_has_no_more_time(short: httpx.Client) -> None:
    began = time.monotonic()
    with raw(short, b"GET /healthz HTTP/1.1\r\nX: ") as connection, suppress(OSError):
        while time.monotonic() - began < 10:
            connection.sendall(b"a")
            time.sleep(0.05)
    assert time.monotonic() - began < 5


def test_a_second_request_is_not_waited_for_longer(short: httpx.Client) -> None:
    with raw(short, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") as connection:
        assert b"200 OK" in connection.recv(4096)
        connection.sendall(b"GET /heal")
        began = time.monotonic()
        said(connection)
    assert time.monotonic() - began < 3


def test_a_request_that_is_answered_has_its_time(short: httpx.Client) -> None:
    with httpx.Client(base_url=short.base_url) as new, connected(new) as stream:
        heard = Heard(stream)
        heard.one()
        for _ in range(3):
            time.sleep(0.25)
            say(stream, "[S1] Hello there ", end=False)
        say(stream)
        assert heard.rest()["type"] == "done"


def test_a_body_that_does_not_come_is_told(short: httpx.Client) -> None:
    with raw(short, HEAD + b"Content-Length: 100\r\n\r\n{") as connection:
        answer = said(connection)
    assert b" 408 " in answer
    assert b"has not come within 0.4 seconds" in answer


def test_a_body_in_chunks_has_no_length_and_a_limit(short: httpx.Client) -> None:
    chunks = (b" " * 10_000 for _ in range(50))
    answer = short.post("/v1/audio/speech", content=chunks, headers={"content-type": "application/json"})
    assert answer.status_code == 413


def test_a_head_has_a_limit(short: httpx.Client) -> None:
    sent = 0
    with raw(short, b"GET /healthz HTTP/1.1\r\n") as connection, suppress(OSError):
        while sent < 1000:
            connection.sendall(b"X: " + b"a" * 1000 + b"\r\n")
            time.sleep(0.001)
            sent += 1
    assert 50 < sent < 1000
    assert short.get("/healthz").status_code == 200


def test_a_head_in_pieces_is_forgotten_once_it_is_there(short: httpx.Client, slow: None) -> None:
    asked = json.dumps(ASKED | {"input": "[S1] " + "One two three four. " * 150, "response_format": "pcm"}).encode()
    began = time.monotonic()
    with raw(short, HEAD) as connection:
        time.sleep(0.1)
        connection.sendall(b"Connection: close\r\n")
        time.sleep(0.1)
        connection.sendall(f"Content-Length: {len(asked)}\r\n\r\n".encode() + asked)
        answer = said(connection)
    assert time.monotonic() - began > 2 * SHORT.patience, "else it proves nothing"
    assert answer.endswith(b"0\r\n\r\n"), "all of it has come"


def test_more_connections_than_there_may_be_are_turned_away(serve: Callable[..., httpx.Client]) -> None:
    client = serve(limits=Limits(connections=3))
    ask = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with ExitStack() as stack:
        assert client.get("/healthz").status_code == 200  # one, which is kept
        held = [stack.enter_context(raw(client, b"")) for _ in range(2)]
        time.sleep(0.1)
        last = said(stack.enter_context(raw(client, b"")))
        assert last.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: " in last
        for connection in held:
            connection.sendall(ask)
            assert b"200 OK" in connection.recv(4096)
    until = time.monotonic() + 5
    while time.monotonic() < until:
        with raw(client, ask) as connection:
            if b"200 OK" in connection.recv(4096):
                return
        time.sleep(0.05)
    raise AssertionError("nobody comes in any more")


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system holds little of what is sent."""
    for kind in (wire._Http, wire._Socket):
        made = kind.connection_made

        def narrowed(self: Any, transport: Any, made: Any = made) -> None:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            transport.set_write_buffer_limits(4096)
            made(self, transport)

        monkeypatch.setattr(kind, "connection_made", narrowed)


def free(client: httpx.Client) -> bool:
    """Whether the row is free again, after a while."""
    until = time.monotonic() + 10
    while client.app.state.room.speaker.load != (0, 0) and time.monotonic() < until:  # type: ignore[attr-defined]
        time.sleep(0.02)
    return bool(client.app.state.room.speaker.load == (0, 0))  # type: ignore[attr-defined]


@pytest.mark.usefixtures("narrow")
def test_who_does_not_read_is_cut_off(serve: Callable[..., httpx.Client]) -> None:
    client = serve(limits=SHORT)
    asked = json.dumps(ASKED | {"input": "[S1] " + "One two three four. " * 150, "response_format": "pcm"}).encode()
    with raw(client, HEAD + f"Content-Length: {len(asked)}\r\n\r\n".encode() + asked, receive=2048) as connection:
        connection.recv(100)
        time.sleep(1.5)
        assert free(client)
        assert 'dia2_requests_total{outcome="gone"} 1.0' in client.get("/metrics").text


def test_a_socket_says_soon_what_it_wants(short: httpx.Client) -> None:
    with opened(short) as stream:
        told = Heard(stream).rest()
    assert told["error"]["code"] == "timeout"
    with connected(short) as stream:
        heard = Heard(stream)
        heard.one()
        say(stream, "[S1] Hello", end=False)
        assert heard.rest()["error"]["code"] == "timeout"
    assert free(short)


def test_sockets_that_say_nothing_are_counted(serve: Callable[..., httpx.Client]) -> None:
    client = serve(limits=Limits(rows=1, queue=1))
    with connected(client) as first, connected(client) as second:
        for stream in (first, second):
            assert Heard(stream).one() == "begun"
            time.sleep(0.2)
        with connected(client) as third:
            assert Heard(third).rest()["error"]["code"] == "busy"
        assert speak(client).status_code == 429


def test_text_that_is_none_is_not_kept(short: httpx.Client) -> None:
    with connected(short) as stream:
        heard = Heard(stream)
        heard.one()
        say(stream, *[""] * 50, "[S1] Hi.")
        assert heard.rest()["type"] == "done"


def test_a_message_has_a_limit(short: httpx.Client) -> None:
    with opened(short) as stream:
        with pytest.raises((httpx_ws.WebSocketDisconnect, httpx_ws.WebSocketNetworkError)):  # noqa: PT012
            stream.send_text("a" * 70_000)
            while True:
                stream.receive(timeout=10)
        assert stream.connection is not None


def test_who_leaves_before_all_was_said_is_no_fault(short: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for kind in (b"application/json", b"multipart/form-data; boundary=x"):
            with raw(short, HEAD.replace(b"application/json", kind) + b"Content-Length: 100\r\n\r\n{"):
                pass
        time.sleep(0.3)
    assert [record for record in caplog.records if record.exc_info] == []
