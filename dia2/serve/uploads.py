"""`POST /v1/audio/voices`: a recording becomes a voice, and its faults are told."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import IO, Any

import msgspec
from anyio import to_thread
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message

from dia2.adapter.ear.voice import voice_findings
from dia2.common.errors import UsageError, one_line
from dia2.serve.bodies import within
from dia2.serve.errors import refuse
from dia2.serve.room import Room

_FIELDS = 1 << 16  # bytes of a field that is no file: words and their times
_BUSY = asyncio.Lock()


async def upload(http: Request) -> Response:
    """Take a form with `name`, `file` and maybe `words`, the JSON that `dia2 generate --words` writes.

    Without words Whisper listens. A voice of that name is never replaced.
    """
    room: Room = http.app.state.room
    if room.voices.folder is None:
        refuse("The server has no folder for voices: start it with --voices FOLDER.", code="no_voices", status=409)
    if not http.headers.get("content-type", "").startswith("multipart/form-data"):
        refuse("A voice is sent as a form: Content-Type: multipart/form-data.", status=415)
    if _BUSY.locked():
        refuse("Another recording is being listened to: try again.", code="busy", status=429)
    async with _BUSY:
        async with within(room.limits.timeout):
            form = await _form(http, room.limits.recording)
        try:
            name, found = await _made(room, form)
        finally:
            await form.close()
    return JSONResponse({"id": name, "object": "voice", "findings": found}, 201)


async def _made(room: Room, form: FormData) -> tuple[str, list[dict[str, str]]]:
    """Make the voice; its name, and what is wrong with it.

    Raises:
        ApiError: it cannot be made.
    """
    name, file, words = form.get("name"), form.get("file"), form.get("words")
    if not isinstance(name, str) or not isinstance(file, UploadFile):
        refuse("The form needs name, a text, and file, a recording.")
    path, said = room.voices.new(name), _words(words)
    with tempfile.TemporaryDirectory(prefix="dia2-voice-") as folder:
        recording = Path(folder) / "recording"
        try:
            return name, await to_thread.run_sync(_listen, room, file.file, recording, path, said)
        except UsageError as error:
            refuse(one_line(error).replace(str(recording), "the recording"), "file")


async def _form(http: Request, most: int) -> FormData:
    """The form, of at most so many bytes.

    Raises:
        ApiError: it is larger, or none.
    """
    receive, seen = http.receive, 0

    async def bounded() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            refuse(f"The recording is larger than {most >> 20} MiB.", "file", status=413)
        return message

    try:
        return await Request(http.scope, bounded).form(max_files=1, max_fields=4, max_part_size=_FIELDS)
    except (MultiPartException, HTTPException) as error:
        if isinstance(error, HTTPException) and error.status_code != 400:
            raise
        refuse(f"The form cannot be read: {one_line(error)}.")


def _words(given: object) -> Any:
    """Word times, or `None`: Whisper is to find them.

    Raises:
        ApiError: they are no JSON.
    """
    if not given:
        return None
    try:
        found = msgspec.json.decode(str(given))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        refuse("words must be JSON, as dia2 generate --words writes it.", "words")
    if not isinstance(found, list | dict):
        refuse("words must be a list, or what dia2 generate --words writes.", "words")
    return found


def _listen(room: Room, sent: IO[bytes], recording: Path, path: Path, words: Any) -> list[dict[str, str]]:
    with recording.open("wb") as target:
        shutil.copyfileobj(sent, target, 1 << 20)
    tts = room.speaker.tts
    made = tts.save_voice(recording, path, words=words, whisper=room.voices.whisper)
    found = voice_findings(tts, made, 1)
    return [{"severity": one.severity, "message": one.text, "fix": one.fix} for one in found]
