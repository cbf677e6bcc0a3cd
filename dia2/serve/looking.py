"""Runs as a client sees them: which there are, the explorer's data, and files to keep."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse

from dia2.generation import PlacedWord
from dia2.inspect import load
from dia2.inspect.store.layout import AUDIO_FILE
from dia2.runtime.subtitles import cues_of, format_subtitles
from dia2.serve.errors import refuse
from dia2.serve.room import Room
from dia2.serve.runs import Run, views


async def runs(http: Request) -> Response:
    """`GET /v1/runs`: the latest first."""
    room: Room = http.app.state.room
    data = [
        {"id": run.id, "object": "run", "created": int(run.began), "input": run.script, "over": run.over}
        for run in room.runs.listed()
    ]
    return JSONResponse({"object": "list", "data": data})


async def view(http: Request) -> Response:
    """`GET /v1/runs/{id}/view`: see `views`."""
    return StreamingResponse(views(_run(http)), media_type="application/octet-stream")


async def sound(http: Request) -> Response:
    """`GET /v1/runs/{id}/sound.flac`."""
    run = _over(http)
    path = run.path / AUDIO_FILE
    if not path.is_file():
        refuse("The run has no sound.", code="no_sound", status=404)
    return FileResponse(path, media_type="audio/flac", filename="speech.flac")


async def words(http: Request) -> Response:
    """`GET /v1/runs/{id}/subtitles.srt`."""
    text = await to_thread.run_sync(_subtitles, _over(http))
    return Response(text, media_type="application/x-subrip", headers=_attached("speech.srt"))


async def trace(http: Request) -> Response:
    """`GET /v1/runs/{id}/trace.zip`."""
    content = await to_thread.run_sync(_zipped, _over(http).path)
    return Response(content, media_type="application/zip", headers=_attached("run.dia2trace.zip"))


def _run(http: Request) -> Run:
    room: Room = http.app.state.room
    return room.runs.find(http.path_params["id"])


def _over(http: Request) -> Run:
    run = _run(http)
    if not run.over:
        refuse("The run goes on: come again when it is over.", code="run_goes_on", status=409)
    return run


def _subtitles(run: Run) -> str:
    found: Any = load(run.path)
    samples, rate = found.audio or (np.zeros(0), 1)
    said = [PlacedWord(w.text, w.seconds, w.speaker, w.seconds) for w in found.words if w.seconds is not None]
    return format_subtitles(cues_of(said, len(samples) / rate), ".srt")


def _zipped(path: Path) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:  # FLAC and logits do not shrink
        for part in sorted(path.iterdir()):
            if part.is_file():
                archive.write(part, f"run.dia2trace/{part.name}")
    return file.getvalue()


def _attached(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}
