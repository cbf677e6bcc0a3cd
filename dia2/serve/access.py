"""Who may come in: by a token, and by the name that they call the server."""

from __future__ import annotations

import hmac
import ipaddress
import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from dia2.common.errors import UsageError
from dia2.serve.errors import answer

# For whoever looks after the machine, and the page, which can then ask for the token.
OPEN = ("/healthz", "/readyz", "/", "/page.js", "/page.css", "/explorer.js", "/explorer.css")
_PORT = re.compile(r":\d{1,5}$")
_LOCAL = ("localhost", "127.0.0.1", "[::1]")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_address(host: str, token: str | None) -> None:
    """Refuse an address that others can reach, unless there is a token.

    Raises:
        UsageError: says so.
    """
    if not is_loopback(host) and not token:
        raise UsageError(f"{host} can be reached from other machines: give a token as well, in DIA2_TOKEN.")
    if token is not None and (len(token) < 8 or not token.isascii() or not token.isprintable() or " " in token):
        raise UsageError("A token has 8 or more plain characters and no spaces.")


class Access:
    """Middleware: asks for the token, where there is one, and for the server's own name.

    Another site's page can have its name point here (DNS rebinding); its requests say that name. It can also send forms
    to other sites; they say where they come from.
    """

    def __init__(self, app: ASGIApp, token: str | None, local: bool) -> None:
        """Note the rules.

        Args:
            app: behind it.
            token: to be sent as `Authorization: Bearer`; `None`: none is asked for.
            local: the server is to be reached from this machine alone.
        """
        self._app, self._local = app, local
        self._token = None if token is None else f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let in, or answer."""
        if scope["type"] in ("http", "websocket"):
            problem = self._problem(Headers(scope=scope), scope["path"] in OPEN)
            if problem is not None:
                if scope["type"] == "websocket":
                    await receive()
                    await send({"type": "websocket.close", "code": 1008, "reason": problem[1]})
                    return
                await answer(problem[0], problem[1])(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _problem(self, headers: Headers, is_open: bool) -> tuple[int, str] | None:
        if self._local and _PORT.sub("", headers.get("host", "")) not in _LOCAL:
            return 421, "This server answers to localhost alone."
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != headers.get("host"):
            return 403, "Pages of other sites are not answered."
        if self._token is not None and not is_open:
            given = headers.get("authorization", "").encode()
            if not hmac.compare_digest(given, self._token):
                return 401, "A token is needed: send it as Authorization: Bearer TOKEN."
        return None
