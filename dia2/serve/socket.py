"""`/v1/audio/stream`: a WebSocket for text that arrives in pieces, and sound that leaves in pieces, with word times."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from functools import partial
from typing import Annotated, Any

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from dia2.common.errors import Dia2Error, UsageError
from dia2.runtime.live_text import LiveText
from dia2.serve.bodies import Asked, check_model, decoded, request_of, within
from dia2.serve.errors import ApiError, problem_of, refuse
from dia2.serve.listening import GoneError, Pieces, listening
from dia2.serve.room import Room
from dia2.serve.runs import recorded
from dia2.serve.sound import pcm16

logger = logging.getLogger("dia2")

_WRONG, _OVER = 1008, 1000  # why a socket is closed


class Begin(Asked, forbid_unknown_fields=True, kw_only=True, tag="begin"):
    """The first message: how the text is to be spoken."""


class Text(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, tag="text"):
    """More of the script."""

    text: Annotated[str, msgspec.Meta(max_length=4096)]


class End(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, tag="end"):
    """That was all of it."""


_BEGIN: msgspec.json.Decoder[Begin] = msgspec.json.Decoder(Begin)
_MORE: msgspec.json.Decoder[Text | End] = msgspec.json.Decoder(Text | End)


async def stream(socket: WebSocket) -> None:
    """Speak what comes.

    Messages of the client are JSON: `begin`, with what `/v1/audio/speech` takes besides the text; any number of `text`;
    `end`. The server sends `begun`, then 16-bit samples as binary messages, `words` before the sound in which they
    begin, and `done`; or `error`.
    """
    room: Room = socket.app.state.room
    await socket.accept()
    outcome = "failed"
    try:
        await _speak(socket, room)
        outcome = "done"
    except (WebSocketDisconnect, GoneError):
        outcome = "gone"
    except (ApiError, Dia2Error) as error:
        if isinstance(error, UsageError):
            error = UsageError(room.voices.told(error))
        problem = problem_of(error)
        with suppress(RuntimeError, WebSocketDisconnect):  # it may have left meanwhile
            await socket.send_json({"type": "error"} | problem)
            await socket.close(_WRONG)
    finally:
        room.metrics.requests.labels(outcome).inc()


async def _speak(socket: WebSocket, room: Room) -> None:
    asked: Begin = decoded(_BEGIN, await _soon(socket, room))
    check_model(asked.model, room)
    text = LiveText()
    request_of(asked, text, room, None)  # before a run is noted
    run = room.runs.new("") if asked.trace else None
    request = request_of(asked, text, room, recorded(run) if run else None)
    reading = asyncio.ensure_future(_read(socket, text, room, run))
    limits = room.limits
    try:
        async with listening(
            room.speaker, request, partial(_broken, reading), seconds=limits.seconds, timeout=limits.timeout
        ) as pieces:
            await socket.send_json(
                {"type": "begun", "sample_rate": room.speaker.tts.sample_rate, "run": run and run.id}
            )
            await _send(socket, room, pieces, reading)
    finally:
        reading.cancel()
        if run is not None and not run.path.exists():
            room.runs.forget(run)  # it waited for a row, or for words, and never began


async def _send(socket: WebSocket, room: Room, pieces: Pieces, reading: asyncio.Future[None]) -> None:
    try:
        async for piece in pieces:
            if piece.words:
                words = [{"text": w.text, "seconds": round(w.seconds, 3), "speaker": w.speaker} for w in piece.words]
                await socket.send_json({"type": "words", "words": words})
            samples = piece.waveform.numpy()
            room.metrics.sound.inc(len(samples) / piece.sample_rate)
            await socket.send_bytes(pcm16(samples))
    except GoneError:
        reading.result()  # what was wrong with a message, if that is why
        raise
    last = pieces.last
    assert last is not None, "the pieces have ended"
    await socket.send_json({"type": "done", "seed": last.seed, "stop_reason": last.stop_reason})
    await socket.close(_OVER)


async def _read(socket: WebSocket, text: LiveText, room: Room, run: Any) -> None:
    """Hand on the script as it comes; ends with an error, or when the client leaves."""
    characters = 0
    while True:
        message = decoded(_MORE, await _soon(socket, room))
        if isinstance(message, End):
            text.close()
            room.speaker.poke()
            break
        characters += len(message.text)
        if characters > room.limits.characters:
            refuse(f"The script is longer than {room.limits.characters} characters.", "text")
        if not message.text:
            continue
        text.feed(message.text)
        if run is not None:
            run.script += message.text
        room.speaker.poke()
    await _received(socket)  # nothing more is to come: it leaves, or it is wrong
    refuse("Nothing comes after end.")


async def _broken(reading: asyncio.Future[None]) -> None:
    """Ends with `reading`, whatever it ends with."""
    await asyncio.wait({reading})


async def _soon(socket: WebSocket, room: Room) -> str:
    async with within(room.limits.patience):
        return await _received(socket)


async def _received(socket: WebSocket) -> str:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    content: str | None = message.get("text")
    if content is None:
        refuse("Messages are texts, of JSON.")
    return content
