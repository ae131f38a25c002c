"""What the routes share: the service, the account of a request, parts of the API document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

from fastapi import Depends, Header, Path, Request, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from sfumato.errors import RequestError
from sfumato.serve.records.auth import Account, Scope
from sfumato.serve.service import FilterService
from sfumato.serve.wire import ACCOUNT_HEADER, PAGE_HEADER


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


def cookie_name(request: Request) -> str:
    """Return the name of the cookie that holds a page's token.

    Browsers keep cookies apart by host alone, and the port in the name keeps apart the services of
    one host. Over TLS the prefix says that no other host may have set it.
    """
    port = "" if request.url.port is None else f"-{request.url.port}"
    return f"{'__Host-' if request.url.scheme == 'https' else ''}sfumato{port}"


def session_header(request: Request) -> str | None:
    """Return the token of a page of this service as the header that a program sends.

    A page of another origin can make a browser send the cookie, but not this header with it.
    """
    token = request.cookies.get(cookie_name(request))
    return f"Bearer {token}" if token and PAGE_HEADER in request.headers else None


# For the document alone: `Tokens` reads the header itself, and says what is wrong with it.
_BEARER: Final = HTTPBearer(auto_error=False, description="A token of `sfumato filter user add`.")


async def caller(
    request: Request,
    filters: Service,
    _: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
) -> Account:
    """Admit a request with any valid token: 401 nobody has it."""
    header = request.headers.get("authorization") or session_header(request)
    remembered = filters.tokens.remembered(header)
    if remembered is not None:
        return remembered
    return await run_in_threadpool(filters.tokens.account, header)


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
NAME: Final = r"[ -~]{1,64}"
"""Names of accounts, as a pattern."""
Named = Annotated[
    str | None,
    Header(
        alias=ACCOUNT_HEADER,
        pattern=f"^{NAME}$",
        description="Name of the account that the request is about, where it is not the token's: "
        "in a header, so that no log of addresses has it.",
    ),
]


async def known_query(request: Request) -> None:
    """Refuse what the route does not know behind a `?`: it would be ignored, and logs keep it.

    Raises:
        RequestError: 422 there is such a thing.
    """
    if not request.scope["query_string"]:
        return
    route: APIRoute = request.scope["route"]
    known = {field.alias for field in route.dependant.query_params}
    unknown = sorted(request.query_params.keys() - known)
    if unknown:
        raise RequestError(
            422,
            f"expected {' and '.join(sorted(known)) or 'nothing'} after the '?', got "
            f"{unknown[0][:40]!r}; an account is named in the header {ACCOUNT_HEADER}",
        )


Id = Annotated[str, Path(description="32 hexadecimal digits.", max_length=200)]
