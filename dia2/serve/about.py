"""What a server says of itself: models, voices, whether it is well."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from dia2.serve.bodies import check_model
from dia2.serve.errors import answer
from dia2.serve.room import Room


async def models(http: Request) -> Response:
    """`GET /v1/models`."""
    return JSONResponse({"object": "list", "data": [_model(http.app.state.room)]})


async def model(http: Request) -> Response:
    """`GET /v1/models/{id}`."""
    room: Room = http.app.state.room
    check_model(http.path_params["model"], room)
    return JSONResponse(_model(room))


async def voices(http: Request) -> Response:
    """`GET /v1/audio/voices`."""
    room: Room = http.app.state.room
    return JSONResponse({"object": "list", "data": [{"id": name, "object": "voice"} for name in room.voices.names()]})


async def healthz(_: Request) -> Response:
    """`GET /healthz`: the process answers."""
    return PlainTextResponse("ok\n")


async def readyz(http: Request) -> Response:
    """`GET /readyz`: the weights are loaded and requests are taken."""
    room: Room = http.app.state.room
    if room.speaker.ready:
        return PlainTextResponse("ready\n")
    return answer(503, "The checkpoint is not loaded, or the server is stopping.", code="not_ready")


async def metrics(http: Request) -> Response:
    """`GET /metrics`."""
    room: Room = http.app.state.room
    return Response(room.metrics.page(), media_type=CONTENT_TYPE_LATEST)


def _model(room: Room) -> dict[str, object]:
    return {"id": room.model, "object": "model", "created": room.created, "owned_by": "dia2"}
