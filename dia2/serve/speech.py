"""`POST /v1/audio/speech`: a script in, sound out, whole or piece by piece."""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, closing
from functools import partial

import numpy as np
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from dia2.common.errors import UsageError
from dia2.serve.bodies import SpeechBody, media_type, read_body, read_speech, request_of
from dia2.serve.errors import CLOSED_BY_CLIENT, refuse
from dia2.serve.listening import GoneError, Last, Pieces, left, listening
from dia2.serve.room import Room
from dia2.serve.runs import recorded
from dia2.serve.sound import WHOLE, encoder, whole

logger = logging.getLogger("dia2")


async def speech(http: Request) -> Response:
    """Speak, as the body says; see `SpeechBody`."""
    room: Room = http.app.state.room
    began = time.perf_counter()
    body = await read_body(http, room.limits)
    asked = read_speech(body, room)
    request_of(asked, asked.input, room, None)  # before a run is noted
    run = room.runs.new(asked.input) if asked.trace else None
    request = request_of(asked, asked.input, room, recorded(run) if run else None)
    headers = {"X-Dia2-Run": run.id} if run else {}
    stack = AsyncExitStack()
    try:
        pieces = await stack.enter_async_context(
            listening(
                room.speaker,
                request,
                partial(left, http),
                seconds=room.limits.seconds,
                timeout=room.limits.timeout,
                whole=not _streamed(asked),
            )
        )
        parts = _parts(pieces, asked, room, began)
        stack.push_async_callback(parts.aclose)
        first = await anext(parts, b"")  # what fails before the first sound has a status of its own
    except BaseException as error:
        await stack.aclose()
        if run is not None and not run.path.exists():
            room.runs.forget(run)
        room.metrics.requests.labels("gone" if isinstance(error, GoneError) else "failed").inc()
        if isinstance(error, GoneError):
            return Response(status_code=CLOSED_BY_CLIENT)
        if isinstance(error, UsageError):
            refuse(room.voices.told(error))
        raise
    return StreamingResponse(_sent(first, parts, pieces, stack, room), headers=headers, media_type=media_type(asked))


async def _parts(pieces: Pieces, asked: SpeechBody, room: Room, began: float) -> AsyncGenerator[bytes, None]:
    """The body, as it is made."""
    rate = room.speaker.tts.sample_rate
    events = asked.stream_format == "sse"
    streamed = _streamed(asked)
    kept = []
    told = False
    with closing(encoder(asked.response_format, rate)) as encode:
        async for piece in pieces:
            samples = piece.waveform.numpy()
            if not told:
                told = True
                room.metrics.first.observe(time.perf_counter() - began)
            room.metrics.sound.inc(len(samples) / rate)
            if not streamed:
                kept.append(samples)
                continue
            part = encode.feed(samples)
            if part:
                yield _delta(part) if events else part
        if not streamed:
            yield whole(asked.response_format, np.concatenate(kept) if kept else np.zeros(0, np.float32), rate)
            return
        part = encode.end()
        if part:
            yield _delta(part) if events else part
    if events:
        yield _event({"type": "speech.audio.done"} | _told(pieces.last))


async def _sent(
    first: bytes, parts: AsyncIterator[bytes], pieces: Pieces, stack: AsyncExitStack, room: Room
) -> AsyncIterator[bytes]:
    outcome = "gone"
    try:
        if first:
            yield first
        async for part in parts:
            yield part
        outcome = "done"
    except GoneError:
        return
    except Exception:
        outcome = "failed"
        raise  # the connection is cut: a client must not take half a file for a whole one
    finally:
        await stack.aclose()
        room.metrics.requests.labels(outcome).inc()
        logger.info("speech %s: %s", outcome, _told(pieces.last))


def _streamed(asked: SpeechBody) -> bool:
    return asked.stream_format == "sse" or asked.response_format not in WHOLE


def _told(last: Last | None) -> dict[str, object]:
    return {} if last is None else {"seed": last.seed, "stop_reason": last.stop_reason}


def _delta(part: bytes) -> bytes:
    return _event({"type": "speech.audio.delta", "audio": base64.b64encode(part).decode()})


def _event(content: dict[str, object]) -> bytes:
    return b"data: " + json.dumps(content).encode() + b"\n\n"
