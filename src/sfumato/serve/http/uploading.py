"""The route of uploads answers by hand: it is asked many times a second, and others are not.

The framework finds out at each request what a function wants, and compares the answer with the
document; at uploads that was a third of the event loop's time. The document is the function's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute

from sfumato.errors import RequestError
from sfumato.serve.http.deps import NAME, caller, known_query, service, uploading
from sfumato.serve.wire import ACCOUNT_HEADER

_NAME: Final = re.compile(NAME)


class UploadRoute(APIRoute):
    """A route whose function takes what `routes.upload` takes, and is called with it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request as the framework would, in the same order."""

        async def answered(request: Request) -> Response:
            await known_query(request)
            filters = await service(request)
            account = await uploading(await caller(request, filters, None))
            answer = await self.endpoint(request, account, filters, _named(request))
            return Response(answer.model_dump_json(), media_type="application/json")

        return answered


def _named(request: Request) -> str | None:
    """Return whom the request names, as `deps.Named` describes it."""
    name = request.headers.get(ACCOUNT_HEADER)
    if name is not None and not _NAME.fullmatch(name):
        raise RequestError(
            422, f"header.{ACCOUNT_HEADER}: expected 1 to 64 printable characters of ASCII"
        )
    return name
