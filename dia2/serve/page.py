"""The page at `/`: what it is made of, and what it asks about a script."""

from __future__ import annotations

from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dia2.common.errors import UsageError, one_line
from dia2.inspect.views.explorer import bundle
from dia2.runtime.lookalikes import Lookalikes
from dia2.runtime.script_notes import ScriptNotes
from dia2.runtime.script_parser import check_script
from dia2.serve.bodies import ScriptBody, decoded, read_body
from dia2.serve.errors import refuse
from dia2.serve.room import Room

FRONT = Path(__file__).parent / "front"
_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; "
_POLICY += "media-src 'self' blob:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}


_DECODER = msgspec.json.Decoder(ScriptBody)


def _file(name: str) -> Route:
    content, kind = (FRONT / name).read_bytes(), _TYPES[Path(name).suffix]

    async def send(_: Request) -> Response:
        return Response(content, media_type=kind, headers=_HEADERS)

    return Route("/" if name == "index.html" else f"/{name}", send)


async def _explorer(_: Request) -> Response:
    return Response(bundle.script("served"), media_type="text/javascript", headers=_HEADERS)


async def _style(_: Request) -> Response:
    return Response(bundle.style(), media_type="text/css", headers=_HEADERS)


async def script(http: Request) -> Response:
    """`POST /v1/script`: what of `{"input": …}` its author may not have meant, and whether it can be spoken."""
    room: Room = http.app.state.room
    text = decoded(_DECODER, await read_body(http, room.limits)).input
    if len(text) > room.limits.characters:
        refuse(f"input has {len(text)} characters, and the most is {room.limits.characters}.", "input")
    try:
        check_script(text, tell=False)
        error = None
    except UsageError as problem:
        error = one_line(problem)
    finder, notes = Lookalikes(), ScriptNotes()
    found = [*finder.feed(text), *finder.close()]
    told = {what.spelling: notes.said(what) for what in found if not what.spelling.lower().startswith("<break")}
    data = [{"spelling": spelling, "message": message} for spelling, message in told.items()]
    return JSONResponse({"error": error, "notes": data})


ROUTES = [
    *(_file(name) for name in ("index.html", "page.js", "page.css")),
    Route("/explorer.js", _explorer),
    Route("/explorer.css", _style),
]
