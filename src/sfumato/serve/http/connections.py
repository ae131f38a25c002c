"""Which connections are kept, and which requests find a place: nobody's idling costs anybody else.

A connection takes a place only while a request of it is answered. One that waits for a request has
`HEADER_SECONDS` from its beginning, or from the last answer, to send a whole header; drops of it
win no time. There are a few times as many connections as places. When a new one comes to a full
house, one that waits is closed: of the address with the most, the one that waits longest.

Who asks on and takes no answer has `HEADER_SECONDS`, too: an answer that finds no room keeps its
place. One that no other waits behind has six times as long from whenever some of it was taken: the
system says so in steps of up to a megabyte, which is much for a slow line.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, cast

from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from sfumato.serve.http.problems import problem
from sfumato.serve.wire import UPLOADS_PATH

HEADER_SECONDS: Final = 10.0
_A_PLACE: Final = 8  # connections a place: most wait for their next request
_SILENT: Final = 6
_ALWAYS: Final = "/livez"  # a process that is busy is alive, and must not be restarted for it


@dataclass(frozen=True, slots=True)
class Places:
    """How much of a service is anybody's."""

    requests: int
    """Answered at once."""
    of_one: int | None = None
    """Of one address; None is half of them, and no limit for this machine's own addresses: a proxy
    in front has a limit of its own."""
    answering: Counter[str] = field(default_factory=Counter, compare=False)
    """The requests of each address that are answered now."""

    @property
    def connections(self) -> int:
        """Connections that are kept."""
        return _A_PLACE * self.requests

    def of(self, address: str) -> int:
        """Return how many requests of an address are answered at once."""
        if self.of_one is not None:
            return self.of_one
        return self.requests if _is_own(address) else max(1, self.requests // 2)


class PatientProtocol(H11Protocol):
    """Uvicorn's, which waits for ever for a header's end and takes the idle for the busy."""

    def __init__(self, *arguments: Any, places: Places, **settings: Any) -> None:  # noqa: ANN401
        super().__init__(*arguments, **settings)
        self.places = places
        self.address = ""
        self._own_places = 0
        self.waits_since: float | None = None
        """When it began to wait for a request; None while one is answered."""
        self._counted = False
        self._deadline: asyncio.TimerHandle | None = None
        self._untaken: asyncio.TimerHandle | None = None
        self._served, self.app = self.app, cast("Any", self._admitted)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let it wait for its first request, and another one go where there are too many."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self._own_places = self.places.of(self.address)
        self._wait()
        if len(self.connections) > self.places.connections:
            self._most_dispensable().transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget its deadline, and its request."""
        self._stop_waiting()
        self._stop_watching()
        self._count(answered=False)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Watch whether what has been answered is taken."""
        super().pause_writing()
        self._watch_untaken()

    def resume_writing(self) -> None:
        """It was."""
        self._stop_watching()
        super().resume_writing()

    def handle_events(self) -> None:
        """Stop the clock when a request has come whole."""
        super().handle_events()
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
            self._count(answered=True)

    def on_response_complete(self) -> None:
        """Start it again."""
        self._wait()
        super().on_response_complete()

    def _wait(self) -> None:
        self._stop_waiting()
        self._count(answered=False)
        self.waits_since = self.loop.time()
        self._deadline = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        self.waits_since = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _watch_untaken(self, silent: int = 0) -> None:
        left = self.transport.get_write_buffer_size()
        self._untaken = self.loop.call_later(HEADER_SECONDS, self._end_if_untaken, left, silent)

    def _end_if_untaken(self, before: int, silent: int) -> None:
        answering = self.waits_since is None
        silent = silent + 1 if self.transport.get_write_buffer_size() >= before else 0
        if answering or silent >= _SILENT:
            self.transport.abort()
        else:
            self._watch_untaken(silent)

    def _stop_watching(self) -> None:
        if self._untaken is not None:
            self._untaken.cancel()
            self._untaken = None

    def _count(self, *, answered: bool) -> None:
        """Note whether a request of this connection is answered now."""
        if answered == self._counted:
            return
        counts = self.places.answering
        counts[self.address] += answered - self._counted
        self._counted = answered
        if not counts[self.address]:
            del counts[self.address]

    def _most_dispensable(self) -> PatientProtocol:
        every = cast("set[PatientProtocol]", self.connections)
        counts = Counter(one.address for one in every)
        waiting = [one for one in every if one.waits_since is not None]
        return min(waiting, key=lambda one: (-counts[one.address], one.waits_since or 0.0))

    async def _admitted(self, scope: Scope, receive: Receive, send: Send) -> None:
        cycle = self.cycle

        async def without_a_second_line(message: Message) -> None:
            # A decision has a line of its own in the log, and there are many.
            if message["type"] == "http.response.start" and message["status"] == HTTPStatus.OK:
                cycle.access_log = False
            await send(message)

        refusal = self._refusal() if scope["path"] != _ALWAYS else None
        if refusal is None:
            sending = without_a_second_line if scope["path"] == UPLOADS_PATH else send
            await cast("Any", self._served)(scope, receive, sending)
            return
        answer = problem(503, f"{refusal}; come back in a moment")
        answer.headers["Connection"] = "close"  # which gives its place among connections up, too
        await answer(scope, receive, send)

    def _refusal(self) -> str | None:
        """Return why a request that has just come, and is counted, is not answered."""
        if len(self.tasks) > self.places.requests:
            return "too many requests at once"
        if self.places.answering[self.address] > self._own_places:
            return "too many requests at once from this address"
        return None


def _is_own(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:  # a socket in the file system has none
        return True
