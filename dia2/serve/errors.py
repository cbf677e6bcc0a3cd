"""What clients are told when something is wrong, in the form that they know from this API."""

from __future__ import annotations

import json
import logging
from typing import NoReturn

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dia2.common.errors import Dia2Error, UsageError, one_line
from dia2.serve.speaker import BusyError, StoppingError

logger = logging.getLogger("dia2.serve")

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


def answer(status: int, message: str, param: str | None = None, code: str | None = None) -> Response:
    """An error as JSON."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    headers = {"Retry-After": str(RETRY_SECONDS)} if status in (429, 503) else {}
    return Response(json.dumps(body), status, headers, "application/json")


def of_exception(error: BaseException) -> Response:
    """The answer to a request that failed with `error`."""
    if isinstance(error, ApiError):
        return answer(error.status_code, error.detail, error.param, error.code)
    if isinstance(error, BusyError):
        return answer(429, one_line(error), code="busy")
    if isinstance(error, StoppingError):
        return answer(503, one_line(error), code="stopping")
    if isinstance(error, UsageError):
        return answer(400, one_line(error))
    if isinstance(error, HTTPException):
        return answer(error.status_code, f"{error.detail}.")
    if isinstance(error, Dia2Error):
        logger.error("a request failed: %s", one_line(error))
        return answer(500, one_line(error))
    logger.error("a request failed", exc_info=error)
    return answer(500, "Something went wrong inside the server: its log says what.")


async def handle(_: Request, error: Exception) -> Response:
    """For Starlette."""
    return of_exception(error)
