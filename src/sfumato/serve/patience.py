"""Connections that send no request are closed, so that they cannot take the places of others."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS: Final = 10.0


class PatientProtocol(H11Protocol):
    """Uvicorn's, which waits for ever for the end of a request's header.

    What a connection does is looked at every `HEADER_SECONDS`; one that was between two requests
    both times, or before its first, is closed. Bodies have their own limit (`bodies`).
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to look at the connection."""
        super().connection_made(transport)
        self._waited: Any = None
        self._look_again()

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
