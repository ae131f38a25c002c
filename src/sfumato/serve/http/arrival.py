"""How bodies of requests come in: of known accounts alone, and within limits.

The framework reads a JSON body whole, however large and slow, before it asks who sends it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import Message

from sfumato.serve.http.bodies import Arriving, read_body, read_file
from sfumato.serve.http.deps import caller, service
from sfumato.serve.records.auth import Account
from sfumato.serve.service import FilterService

MOST_JSON_BYTES: Final = 64 << 10
"""Of what a person asks for: the longest note of an appeal takes 12 kB."""


async def file_of(
    request: Request, account: Account, filters: FilterService, *, what: str, limit: int
) -> bytes:
    """Return a file's bytes; one account's slow ones take few of the places that all share."""
    with _place(request, account):
        return await read_file(
            request, what=what, limit_bytes=limit, seconds=filters.settings.body_seconds
        )


class BoundedRoute(APIRoute):
    """A route whose body, if it takes one, the framework is given when it is there."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request as the framework would."""
        answered = super().get_route_handler()
        if self.body_field is None:
            return answered

        async def bounded(request: Request) -> Response:
            filters = await service(request)
            account = await caller(request, filters, None)
            with _place(request, account):
                body = await read_body(
                    request,
                    what="the body",
                    limit_bytes=MOST_JSON_BYTES,
                    seconds=filters.settings.body_seconds,
                )
            return await answered(_with_body(request, body))

        return bounded


def _with_body(request: Request, body: bytes) -> Request:
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return left.pop() if left else await request.receive()

    return Request(request.scope, receive)


def _place(request: Request, account: Account) -> AbstractContextManager[None]:
    arriving: Arriving = request.app.state.arriving
    # A platform's gateway sends everybody's.
    return nullcontext() if account.role == "uploader" else arriving.one_of(account.id)
