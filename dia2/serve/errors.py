"""What clients are told when something is wrong, in the form that they know from this API."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import NoReturn

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dia2.common.errors import Dia2Error, UsageError, one_line
from dia2.serve.speaker import BusyError, StoppingError

logger = logging.getLogger("dia2")

CLOSED_BY_CLIENT = 499  # nobody reads it
_INSIDE = "Something went wrong inside the server: its log says what."
RETRY_SECONDS = 2  # what a client that was turned away is told to wait


class ApiError(HTTPException):
    """A request cannot be served; says why, and which field it is about."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        """Note what to answer.

        Args:
            status: of HTTP.
            message: one sentence.
            param: the field.
            code: a word for programs.
        """
        super().__init__(status, message)
        self.param, self.code = param, code


def refuse(message: str, param: str | None = None, code: str | None = None, status: int = 400) -> NoReturn:
    """Raise what is wrong with a request."""
    raise ApiError(status, message, param, code)


def answer(
    status: int,
    message: str,
    param: str | None = None,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An error as JSON."""
    body = {"error": _told(status, message, param, code)}
    headers = {**(headers or {}), **({"Retry-After": str(RETRY_SECONDS)} if status in (429, 503) else {})}
    return Response(json.dumps(body), status, headers, "application/json")


def _told(status: int, message: str, param: str | None, code: str | None) -> dict[str, str | None]:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"message": message, "type": kind, "param": param, "code": code}


def _facts(error: BaseException) -> tuple[int, str, str | None, str | None]:
    """Status, message, field and code of what went wrong."""
    match error:
        case ApiError():
            return error.status_code, error.detail, error.param, error.code
        case BusyError():
            return 429, one_line(error), None, "busy"
        case StoppingError():
            return 503, one_line(error), None, "stopping"
        case UsageError():
            return 400, one_line(error), None, None
        case HTTPException():
            return error.status_code, f"{error.detail}.", None, None
        case Dia2Error():
            logger.error("a request failed: %s", one_line(error))  # where files lie is nobody's business
            if isinstance(error.__cause__, OSError):
                return 507, "The server could not write a file: its log says which, and why.", None, "no_space"
            return 500, _INSIDE, None, None
    logger.error("a request failed", exc_info=error)
    return 500, _INSIDE, None, None


def problem_of(error: BaseException) -> dict[str, object]:
    """What a client that is no HTTP client is told."""
    return {"error": _told(*_facts(error))}


async def handle(_: Request, error: Exception) -> Response:
    """For Starlette: the answer to a request that failed."""
    return answer(*_facts(error), headers=error.headers if isinstance(error, HTTPException) else None)


async def forget(_: Request, __: Exception) -> Response:
    """For Starlette: the client has left before it had said all."""
    return Response(status_code=CLOSED_BY_CLIENT)
