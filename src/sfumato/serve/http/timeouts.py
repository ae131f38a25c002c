"""Close idle connections, and answer 503 with Retry-After when the connection limit is reached."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from sfumato.serve.http.problems import problem

HEADER_SECONDS: Final = 10.0


class PatientProtocol(H11Protocol):
    """Uvicorn's, which waits for ever for a header's end and refuses without saying until when.

    What a connection does is looked at every `HEADER_SECONDS`; one that was between two requests
    both times, or before its first, is closed. Bodies have their own limit (`bodies`).
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to look at the connection."""
        super().connection_made(transport)
        # From here on we watch the limit: uvicorn's own refusal has no Retry-After.
        self._places, self.limit_concurrency = self.limit_concurrency, None
        self._served = self.app
        self._waited: Any = None
        self._look_again()

    def handle_events(self) -> None:
        """Hand requests to the app, or where every place is taken to `busy`."""
        taken = max(len(self.connections), len(self.tasks))
        full = self._places is not None and taken >= self._places
        self.app = busy if full else self._served
        super().handle_events()

    def _look_again(self) -> None:
        self.loop.call_later(HEADER_SECONDS, self._look)

    def _look(self) -> None:
        if self.transport.is_closing():
            return
        cycle = self.cycle
        waits = cycle is None or cycle.response_complete
        # The same finished request as last time, or none as last time.
        if waits and self._waited == (id(cycle),):
            self.transport.close()
            return
        self._waited = (id(cycle),) if waits else None
        self._look_again()


async def busy(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer any request with 503 and a time to come back, and give the connection's place up."""
    answer = problem(503, "too many requests at once; come back in a moment")
    answer.headers["Connection"] = "close"
    await answer(scope, receive, send)
