"""The body of a request for speech, checked field by field, and what it asks of the checkpoint."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Annotated, Any, Literal

import msgspec
from starlette.requests import Request as HttpRequest

from dia2.common.errors import UsageError, one_line
from dia2.runtime.live_text import LiveText
from dia2.runtime.request import Request
from dia2.serve.errors import refuse
from dia2.serve.limits import Limits
from dia2.serve.room import Room
from dia2.serve.sound import MEDIA_TYPES

Format = Literal["mp3", "opus", "flac", "wav", "pcm"]


class Asked(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What every request for speech says."""

    model: str
    voice: str = "default"
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None
    cfg_scale: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None
    top_k: Annotated[int, msgspec.Meta(ge=0, le=100_000)] | None = None
    trace: bool = False  # record the run; X-Dia2-Run in the answer names it


class SpeechBody(Asked, forbid_unknown_fields=True, kw_only=True):
    """What clients of the speech API send, and what is ours."""

    input: Annotated[str, msgspec.Meta(min_length=1)]
    response_format: Format = "mp3"
    stream_format: Literal["audio", "sse"] = "audio"
    speed: float = 1.0
    instructions: str | None = None


class ScriptBody(msgspec.Struct, kw_only=True):
    """A script that is looked at."""

    input: str


_DECODER = msgspec.json.Decoder(SpeechBody)


async def read_body(http: HttpRequest, limits: Limits) -> bytes:
    """A JSON body, of at most so many bytes.

    Raises:
        ApiError: it is larger, it is declared as something else, or it does not come.
    """
    kind = http.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":  # what a page of another site could send unasked is never that
        refuse("The body must be JSON: send Content-Type: application/json.", status=415)
    found = bytearray()
    async with within(limits.patience):
        async for part in http.stream():
            found += part
            if len(found) > limits.body:
                refuse(f"The body is larger than {limits.body} bytes.", status=413)
    return bytes(found)


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """Wait so long for what a client is to send.

    Raises:
        ApiError: it took longer.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        refuse(f"What is to be sent has not come within {seconds:g} seconds.", code="timeout", status=408)


def read_speech(body: bytes, room: Room) -> SpeechBody:
    """What is asked for, in JSON.

    Raises:
        ApiError: it cannot be served; says why.
    """
    asked: SpeechBody = decoded(_DECODER, body)
    check_model(asked.model, room)
    if asked.speed != 1.0:
        refuse("The model speaks at its own pace, so speed can only be 1.", "speed")
    if asked.instructions:
        refuse("The model takes no instructions, it speaks the script alone: leave them out.", "instructions")
    if len(asked.input) > room.limits.characters:
        refuse(f"input has {len(asked.input)} characters, and the most is {room.limits.characters}.", "input")
    return asked


def decoded(decoder: msgspec.json.Decoder[Any], content: bytes | str) -> Any:
    """What JSON stands for.

    Raises:
        ApiError: it is none, or not of the decoder's type.
    """
    try:
        return decoder.decode(content)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        refuse(f"{message}{f', in {place[1:-1]}' if place[1:-1] else ''}.", place[1:-1] or None)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        refuse(f"The body is no JSON: {one_line(error)}.")


def check_model(name: str, room: Room) -> None:
    """Refuse any but the one there is.

    Raises:
        ApiError: says which there is.
    """
    if name != room.model:
        known = f"this server has {room.model!r}"
        refuse(f"There is no model {name[:100]!r}: {known}.", "model", "model_not_found", 404)


def request_of(asked: Asked, script: str | LiveText, room: Room, trace: AbstractContextManager[None] | None) -> Request:
    """For the checkpoint.

    Args:
        asked: by a client.
        script: what is to be said.
        room: whose voices there are.
        trace: records it.

    Raises:
        ApiError: it cannot be spoken; says why.
    """
    options: dict[str, Any] = room.speaker.how | {
        name: value
        for name in ("seed", "cfg_scale", "temperature", "top_k")
        if (value := getattr(asked, name)) is not None
    }
    voice = room.voices.path(asked.voice)
    if voice is not None:
        options["prefix_speaker_1"] = voice
    try:
        return Request(script, trace=trace, **options)
    except UsageError as error:
        refuse(room.voices.told(error))


def media_type(asked: SpeechBody) -> str:
    """Of the answer."""
    return "text/event-stream" if asked.stream_format == "sse" else MEDIA_TYPES[asked.response_format]
