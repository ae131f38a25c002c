"""Every error that a client sees is an RFC 9457 problem document with one message."""

from __future__ import annotations

import logging
from http import HTTPStatus

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from sfumato.errors import (
    BankError,
    DatabaseError,
    FormatError,
    InputError,
    RequestError,
    ServiceError,
    SfumatoError,
    StorageError,
)
from sfumato.serve.http.guarding import SAFE

_RETRY_SECONDS = 2
_log = logging.getLogger("sfumato.serve")
_STATUS: dict[type[SfumatoError], int] = {
    InputError: 422,
    BankError: 503,  # no fault of who asks
    FormatError: 422,
    StorageError: 507,
    ServiceError: 503,
}
_INSTEAD: dict[type[SfumatoError], str] = {
    DatabaseError: "the database does not answer; try again",
    BankError: "the database is damaged; whoever runs the service has to look at it",
}
"""Of errors that name a machine, a file, or another person's enrollment: the log has them."""


def problem(status: int, detail: str, *, retry_after: int | None = None) -> JSONResponse:
    """Return an `application/problem+json` answer."""
    # Here too: what fails or is refused before the app answers does not come through `Guarding`.
    headers = dict(SAFE)
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if retry_after is not None or status == 503:
        headers["Retry-After"] = str(retry_after or _RETRY_SECONDS)
    return JSONResponse(
        {"type": "about:blank", "title": _title(status), "status": status, "detail": detail},
        status_code=status,
        media_type="application/problem+json",
        headers=headers,
    )


def install_problems(app: FastAPI) -> None:
    """Make the app answer every error, its own and the framework's, as a problem document."""
    app.add_exception_handler(SfumatoError, _known)
    app.add_exception_handler(HTTPException, _framework)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _unknown)


def status_of(error: Exception) -> int:
    """Return the HTTP status of an error: its own, or that of its nearest class in the table."""
    if isinstance(error, RequestError):
        return error.status
    return next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)


def _known(_: Request, error: Exception) -> JSONResponse:
    wait = error.retry_after if isinstance(error, RequestError) else None
    instead = next((words for kind, words in _INSTEAD.items() if isinstance(error, kind)), None)
    if instead is not None:
        _log.error("a request failed: %s", error)
    return problem(status_of(error), instead or str(error), retry_after=wait)


def _framework(_: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return problem(status, f"{_title(status)}; /docs lists what this service answers")


def _invalid(_: Request, error: Exception) -> JSONResponse:
    first = error.errors()[0] if isinstance(error, RequestValidationError) else {}
    where = ".".join(str(part) for part in first.get("loc", ()))
    return problem(422, f"{where}: {first.get('msg', 'is not valid')}")


def _unknown(_: Request, error: Exception) -> JSONResponse:
    # The server logs the traceback after this; the client gets nothing of it.
    _log.error("a request failed: %s", type(error).__name__)
    return problem(500, "the service failed; its log has the reason")


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
