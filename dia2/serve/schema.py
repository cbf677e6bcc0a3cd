"""The OpenAPI description of a server, at `/openapi.json`."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dia2 import __version__
from dia2.serve.bodies import SpeechBody
from dia2.serve.room import Room
from dia2.serve.sound import MEDIA_TYPES

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
_RUN = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}


def describe(model: str, voices: list[str]) -> dict[str, Any]:
    """All addresses that programs use.

    Args:
        model: the id of the one there is.
        voices: those there are.
    """
    body = msgspec.json.schema_components([SpeechBody], ref_template="#/components/schemas/{name}")[1]["SpeechBody"]
    body["properties"]["model"]["enum"] = [model]
    body["properties"]["voice"]["enum"] = voices
    sound = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in MEDIA_TYPES.values()}
    script = {"type": "object", "required": ["input"], "properties": {"input": {"type": "string"}}}
    problems = [400, 401, 404, 413, 415, 421, 429, 503, 504]
    paths = {
        "/v1/audio/speech": {
            "post": _operation(
                "Speak a script", _answer("its sound", {**sound, "text/event-stream": {}}), problems, body="SpeechBody"
            )
        },
        "/v1/script": {
            "post": _operation("Look at a script", _answer("what was found", _json()), problems[:6], body="Script")
        },
        "/v1/models": {"get": _operation("List models", _answer("them", _json()), [401, 421])},
        "/v1/models/{model}": {
            "get": _operation("One model", _answer("it", _json()), [401, 404, 421])
            | {"parameters": [{"name": "model", "in": "path", "required": True, "schema": {"enum": [model]}}]}
        },
        "/v1/audio/voices": {"get": _operation("List voices", _answer("them", _json()), [401, 421])},
        "/v1/runs": {"get": _operation("List recorded runs", _answer("them", _json()), [401, 421])},
        "/healthz": {"get": _operation("Does it answer?", _answer("it does", {"text/plain": {}}), [421])},
        "/readyz": {"get": _operation("Does it take requests?", _answer("it does", {"text/plain": {}}), [421, 503])},
        "/metrics": {"get": _operation("Figures for Prometheus", _answer("them", {"text/plain": {}}), [401, 421])},
    }
    files = {
        "view": "application/octet-stream",
        "sound.flac": "audio/flac",
        "subtitles.srt": "application/x-subrip",
        "trace.zip": "application/zip",
    }
    for name, kind in files.items():
        operation = _operation(f"{name} of a run", _answer("it", {kind: {}}), [401, 404, 409, 421])
        paths[f"/v1/runs/{{id}}/{name}"] = {"get": operation | {"parameters": [_RUN]}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "dia2", "version": __version__},
        "paths": paths,
        "components": {"schemas": {"SpeechBody": body, "Script": script, "Error": _ERROR}},
    }


async def openapi(http: Request) -> Response:
    """`GET /openapi.json`."""
    room: Room = http.app.state.room
    return JSONResponse(describe(room.model, room.voices.names()))


def _operation(summary: str, answer: dict[str, Any], problems: list[int], body: str | None = None) -> dict[str, Any]:
    responses = {"200": answer} | {str(status): _problem() for status in problems}
    operation: dict[str, Any] = {"summary": summary, "responses": responses}
    if body is not None:
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{body}"}}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _answer(what: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"description": what, "content": content}


def _json() -> dict[str, Any]:
    return {"application/json": {"schema": {"type": "object"}}}


def _problem() -> dict[str, Any]:
    return _answer("what is wrong", {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}})
