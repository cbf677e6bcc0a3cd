"""Text in pieces and sound in pieces, over a WebSocket."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx
import httpx_ws
import numpy as np
import pytest
from wsproto.events import BytesMessage, TextMessage

from dia2.serve.limits import Limits

from .test_page import frames
from .test_speech import same, speak, wanted

PIECES = ["[S1] Hello the", "re. Ho", "w are you? ", "[S2] Hi! And", " you? Well", " enough."]


def opened(client: httpx.Client) -> AbstractContextManager[httpx_ws.WebSocketSession]:
    return httpx_ws.connect_ws(str(client.base_url.join("/v1/audio/stream")), client)


@contextmanager
def connected(client: httpx.Client, **asked: Any) -> Iterator[httpx_ws.WebSocketSession]:
    with opened(client) as socket:
        if asked is not None:
            socket.send_json({"type": "begin", "model": "tiny", "seed": 3} | asked)
        yield socket


class Heard:
    """What came, until it is over."""

    def __init__(self, socket: httpx_ws.WebSocketSession) -> None:
        self.sound, self.words, self.told = b"", [], []  # type: ignore[var-annotated]  # JSON
        self.socket = socket

    def one(self) -> str:
        event = self.socket.receive(timeout=30)
        if isinstance(event, BytesMessage):
            self.sound += bytes(event.data)
            return "sound"
        assert isinstance(event, TextMessage)
        message = json.loads(event.data)
        self.told.append(message)
        if message["type"] == "words":
            self.words += [(len(self.sound) / 48_000, word) for word in message["words"]]
        return str(message["type"])

    def rest(self) -> dict[str, Any]:
        while self.one() not in ("done", "error"):
            pass
        found: dict[str, Any] = self.told[-1]
        return found

    @property
    def samples(self) -> np.ndarray:
        return np.frombuffer(self.sound, "<i2")


def say(socket: httpx_ws.WebSocketSession, *pieces: str, end: bool = True) -> None:
    for piece in pieces:
        socket.send_json({"type": "text", "text": piece})
    if end:
        socket.send_json({"type": "end"})


def test_it_speaks_what_was_written_in_pieces(client: httpx.Client) -> None:
    with connected(client) as socket:
        heard = Heard(socket)
        assert heard.one() == "begun"
        assert heard.told[0] == {"type": "begun", "sample_rate": 24_000, "run": None}
        for piece in PIECES:
            say(socket, piece, end=False)
            time.sleep(0.1)
        say(socket)
        assert heard.rest() == {"type": "done", "seed": 3, "stop_reason": "end"}
    assert same(heard.samples, wanted(script="".join(PIECES)))
    assert [word["text"] for _, word in heard.words] == "".join(PIECES).replace("[S1] ", "").replace(
        "[S2] ", ""
    ).split()
    assert [word["speaker"] for _, word in heard.words] == [1] * 5 + [2] * 5
    assert all(came <= word["seconds"] + 0.001 for came, word in heard.words), "a word comes before its sound"


@pytest.mark.usefixtures("slow")
def test_sound_comes_before_the_text_is_finished(client: httpx.Client) -> None:
    with connected(client) as socket:
        heard = Heard(socket)
        say(socket, "[S1] One two three four five six seven ", end=False)
        while len(heard.sound) < 10_000:
            heard.one()
        assert speak(client).status_code == 200, "others go on meanwhile"
        say(socket, "eight.")
        heard.rest()
    assert same(heard.samples, wanted(script="[S1] One two three four five six seven eight."))


def test_a_run_in_pieces_can_be_looked_into(client: httpx.Client) -> None:
    with connected(client, trace=True) as socket:
        heard = Heard(socket)
        heard.one()
        say(socket, *PIECES)
        heard.rest()
    name = heard.told[0]["run"]
    (run,) = [run for run in client.get("/v1/runs").json()["data"] if run["id"] == name]
    assert run["input"] == "".join(PIECES)
    until = time.monotonic() + 10
    while client.get(f"/v1/runs/{name}/sound.flac").status_code == 409 and time.monotonic() < until:
        time.sleep(0.05)
    assert [kind for kind, _ in frames(client.get(f"/v1/runs/{name}/view").content)] == ["v"]


@pytest.mark.parametrize("pieces", [[], ["[S1] One two three four five six seven eight nine ten "]])
@pytest.mark.usefixtures("slow")
def test_who_leaves_frees_the_row(serve: Callable[..., httpx.Client], pieces: list[str]) -> None:
    client = serve(limits=Limits(rows=1, queue=0))
    with connected(client) as socket:
        heard = Heard(socket)
        heard.one()
        say(socket, *pieces, end=False)
        if pieces:
            heard.one()
    load: Callable[[], tuple[int, int]] = lambda: client.app.state.room.speaker.load  # type: ignore[attr-defined]  # noqa: E731  # see `served`
    until = time.monotonic() + 10
    while load() != (0, 0) and time.monotonic() < until:
        time.sleep(0.02)
    assert load() == (0, 0)
    assert speak(client).status_code == 200


def test_a_run_that_never_began_is_not_listed(serve: Callable[..., httpx.Client]) -> None:
    client = serve(limits=Limits(rows=1, queue=1))
    with connected(client) as first:
        heard = Heard(first)
        heard.one()
        say(first, "[S1] One two three four five six seven ", end=False)
        while not heard.sound:  # it has the row
            heard.one()
        with connected(client, trace=True) as second:
            assert Heard(second).one() == "begun"
            assert len(client.get("/v1/runs").json()["data"]) == 1
        until = time.monotonic() + 10
        while client.get("/v1/runs").json()["data"] and time.monotonic() < until:
            time.sleep(0.02)
        assert client.get("/v1/runs").json()["data"] == []


@pytest.mark.parametrize(("messages", "said"), [
    (['{"type": "begin", "model": "tts-1"}'], "There is no model 'tts-1'"),
    (['{"type": "begin", "model": "tiny", "voice": "alloy"}'], "There is no voice 'alloy'"),
    (['{"type": "begin", "model": "tiny", "cfg": 1}'], "unknown field `cfg`"),
    (['{"type": "text", "text": "Hi."}'], "Invalid value 'text'"),
    (["{"], "no JSON"),
    ([b"\x00\x01"], "Messages are texts, of JSON."),
    ([None, '{"type": "text"}'], "missing required field `text`"),
    ([None, '{"type": "text", "text": "' + "a" * 5000 + '"}'], "length <= 4096"),
    ([None, *['{"type": "text", "text": "' + "a " * 1000 + '"}'] * 3], "The script is longer than 4096 characters."),
    ([None, '{"type": "text", "text": "  "}', '{"type": "end"}'], "The script has no words"),
    ([None, '{"type": "text", "text": "[S1] a <break time=\\"9999s\\"/> b c d"}', '{"type": "end"}'], "break"),
    ([None, '{"type": "end"}'], "The script has no words"),
])  # fmt: skip
def test_what_is_wrong_is_said_and_the_socket_closed(
    client: httpx.Client, messages: list[str | bytes | None], said: str
) -> None:
    with opened(client) as socket:
        heard = Heard(socket)
        for message in messages:
            if message is None:
                socket.send_json({"type": "begin", "model": "tiny"})
            elif isinstance(message, bytes):
                socket.send_bytes(message)
            else:
                socket.send_text(message)
        told = heard.rest()
        assert said in told["error"]["message"]
        assert told["error"]["type"] == "invalid_request_error"
        with pytest.raises(httpx_ws.WebSocketDisconnect) as closed:
            all(iter(lambda: socket.receive(timeout=10), None))
        assert closed.value.code == 1008


def test_who_is_not_let_in_has_no_socket(serve: Callable[..., httpx.Client]) -> None:
    client = serve(token="a-long-token")
    with pytest.raises(httpx_ws.HTTPXWSException), connected(client):
        pass
    client.headers["authorization"] = "Bearer a-long-token"
    with connected(client) as socket:
        assert Heard(socket).one() == "begun"
    client.headers["origin"] = "https://evil.example"
    with pytest.raises(httpx_ws.HTTPXWSException), connected(client):
        pass
