"""The OpenAPI description of a server, at `/openapi.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dia2 import __version__
from dia2.serve.bodies import ScriptBody, SpeechBody
from dia2.serve.limits import Limits
from dia2.serve.room import Room
from dia2.serve.sound import MEDIA_TYPES
from dia2.serve.voices import DEFAULT, NAME

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
_VOICE = {
    "type": "object",
    "required": ["name", "file"],
    "properties": {
        "name": {"type": "string", "pattern": f"^{NAME.pattern}$", "not": {"const": DEFAULT}},
        "file": {"type": "string", "contentMediaType": "application/octet-stream", "format": "binary"},
        "words": {"type": "string", "contentMediaType": "application/json"},
    },
}
_HEADERS = {"X-Dia2-Run": {"description": "the id of the run, if it is recorded", "schema": {"type": "string"}}}
_AGAIN = {"Retry-After": {"description": "seconds to wait", "schema": {"type": "integer"}}}
_OPEN = (403, 421)  # what every address answers to another site's page, or by another name
_ANYWHERE = (401, *_OPEN)  # and without the token
_RUN = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}


def describe(model: str, voices: list[str], limits: Limits) -> dict[str, Any]:
    """All addresses that programs use.

    Args:
        model: the id of the one there is.
        voices: those there are.
        limits: of what is taken.
    """
    body = msgspec.json.schema_components([SpeechBody], ref_template="#/components/schemas/{name}")[1]["SpeechBody"]
    body["properties"]["model"]["enum"] = [model]
    body["properties"]["voice"]["enum"] = voices
    sound = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in MEDIA_TYPES.values()}
    body["properties"]["input"]["maxLength"] = limits.characters
    script = msgspec.json.schema_components([ScriptBody], ref_template="#/components/schemas/{name}")[1]["ScriptBody"]
    sent = [400, *_ANYWHERE, 408, 413, 415]  # of what has a body
    page, code, style = ({kind: dict[str, Any]()} for kind in ("text/html", "text/javascript", "text/css"))
    paths: dict[str, dict[str, Any]] = {
        "/v1/audio/speech": {
            "post": _operation(
                "Speak a script",
                _answer("its sound", {**sound, "text/event-stream": {}}, headers=_HEADERS),
                [*sent, 404, 429, 503, 504, 507],
                body={"application/json": "SpeechBody"},
            )
        },
        "/v1/script": {
            "post": _operation("Look at a script", _answer("found", _json()), sent, body={"application/json": "Script"})
        },
        "/v1/models": {"get": _operation("List models", _answer("them", _json()))},
        "/v1/models/{model}": {
            "get": _operation("One model", _answer("it", _json()), [*_ANYWHERE, 404])
            | {"parameters": [{"name": "model", "in": "path", "required": True, "schema": {"enum": [model]}}]}
        },
        "/v1/audio/voices": {
            "get": _operation("List voices", _answer("them", _json())),
            "post": _operation(
                "Make a voice of a recording",
                _answer("it, and what is wrong with it", _json()),
                [*sent, 409, 429, 503, 507],
                body={"multipart/form-data": "Voice"},
                status=201,
            ),
        },
        "/v1/runs": {"get": _operation("List recorded runs", _answer("them", _json()))},
        "/openapi.json": {"get": _operation("This document", _answer("it", _json()))},
        "/healthz": {"get": _operation("Does it answer?", _answer("it does", {"text/plain": {}}), _OPEN)},
        "/readyz": {"get": _operation("Does it take requests?", _answer("yes", {"text/plain": {}}), [*_OPEN, 503])},
        "/metrics": {"get": _operation("Figures for Prometheus", _answer("them", {"text/plain": {}}))},
        "/": {"get": _operation("The page", _answer("it", page), _OPEN)},
        "/page.js": {"get": _operation("The page's code", _answer("it", code), _OPEN)},
        "/page.css": {"get": _operation("The page's style", _answer("it", style), _OPEN)},
        "/explorer.js": {"get": _operation("The explorer's code", _answer("it", code), _OPEN)},
        "/explorer.css": {"get": _operation("The explorer's style", _answer("it", style), _OPEN)},
    }
    files = {
        "view": ("application/octet-stream", []),
        "sound.flac": ("audio/flac", [409]),
        "subtitles.srt": ("application/x-subrip", [409]),
        "trace.zip": ("application/zip", [409]),
    }
    for name, (kind, more) in files.items():
        operation = _operation(f"{name} of a run", _answer("it", {kind: {}}), [*_ANYWHERE, 404, *more])
        paths[f"/v1/runs/{{id}}/{name}"] = {"get": operation | {"parameters": [_RUN]}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "dia2", "version": __version__},
        "paths": paths,
        "components": {"schemas": {"SpeechBody": body, "Script": script, "Voice": _VOICE, "Error": _ERROR}},
    }


async def openapi(http: Request) -> Response:
    """`GET /openapi.json`."""
    room: Room = http.app.state.room
    return JSONResponse(describe(room.model, room.voices.names(), room.limits))


def _operation(
    summary: str,
    answer: dict[str, Any],
    problems: Sequence[int] = _ANYWHERE,
    body: Mapping[str, str] | None = None,
    status: int = 200,
) -> dict[str, Any]:
    responses = {str(status): answer} | {str(problem): _problem(problem) for problem in problems}
    operation: dict[str, Any] = {"summary": summary, "responses": responses}
    if body is not None:
        content = {kind: {"schema": {"$ref": f"#/components/schemas/{name}"}} for kind, name in body.items()}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _answer(what: str, content: dict[str, Any], headers: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"description": what, "content": content} | ({"headers": headers} if headers else {})


def _json() -> dict[str, Any]:
    return {"application/json": {"schema": {"type": "object"}}}


def _problem(status: int) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return _answer("what is wrong", content, headers=_AGAIN if status in (429, 503) else None)
