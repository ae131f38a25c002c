"""What the routes share: the service, the account of a request, parts of the API document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

from fastapi import Depends, Path, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from sfumato.errors import RequestError
from sfumato.serve.records.auth import Account, Scope, authenticate
from sfumato.serve.service import FilterService


def binary_body(description: str) -> dict[str, Any]:
    """Return the OpenAPI entry of a body that is a file's bytes."""
    content = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    return {"requestBody": {"required": True, "description": description, "content": content}}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI entries of the problems that a route may answer with.

    Where a token is needed, its account may ask too often; everything may be too busy.
    """
    return {
        status: {"description": _PROBLEMS[status], "content": _PROBLEM_CONTENT}
        for status in (*statuses, *([429] if 401 in statuses else []), 503)
    }


_PROBLEM_CONTENT: Final = {"application/problem+json": {"schema": {"type": "object"}}}
_PROBLEMS: Final = {
    400: "The body is empty, cut short, or not JSON.",
    401: "No account has this token, or it has expired.",
    403: "The token is not good for this, or a quota is used up.",
    404: "There is no such thing of yours.",
    408: "The body came too slowly.",
    409: "It was done already.",
    413: "The body is too large.",
    415: "The body is a form.",
    422: "The request is not what it should be.",
    429: "Too many requests of this account; Retry-After says when.",
    503: "The service or its database is too busy; Retry-After says when.",
    507: "The disk is full; nothing was changed.",
}


# These are async because one that is not runs in a worker thread, which they do not need.
async def service(request: Request) -> FilterService:
    """Return the service of this app."""
    found: FilterService = request.app.state.service
    return found


Service = Annotated[FilterService, Depends(service)]


# For the document alone: `authenticate` reads the header itself, and says what is wrong with it.
_BEARER: Final = HTTPBearer(auto_error=False, description="A token of `sfumato filter user add`.")


def caller(
    request: Request,
    filters: Service,
    _: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
) -> Account:
    """Admit a request with any valid token: 401 nobody has it."""
    header = request.headers.get("authorization")
    return authenticate(filters.store.engine, filters.store.clock, header)


Caller = Annotated[Account, Depends(caller)]


async def anybody(account: Caller, filters: Service) -> Account:
    """Admit a request with any valid token, and count it: 429 it is one too many."""
    filters.count_request(account)
    return account


Anybody = Annotated[Account, Depends(anybody)]


def _good(account: Account, scope: Scope) -> Account:
    if scope not in account.scopes:
        raise RequestError(403, f"this token is not good for '{scope}'; ask for one that is")
    return account


def needs(scope: Scope) -> Callable[..., Awaitable[Account]]:
    """Return what admits callers whose token is good for `scope`: 401 nobody, 403 not good."""

    async def admitted(account: Anybody) -> Account:
        return _good(account, scope)

    return admitted


async def uploading(account: Caller) -> Account:
    """Admit an upload, which has a limit of its own: see `FilterService.decide`."""
    return _good(account, "upload")


Enroller = Annotated[Account, Depends(needs("enroll"))]
Uploader = Annotated[Account, Depends(uploading)]
Appellant = Annotated[Account, Depends(needs("upload"))]
Moderator = Annotated[Account, Depends(needs("moderate"))]
Id = Annotated[str, Path(description="32 hexadecimal digits.", max_length=200)]
