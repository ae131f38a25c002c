"""From a file to what it shows: small pictures that wait together go together, large ones apart.

Where a process ends at a file, the file is tried once more, apart, and then refused: the first end
need not be its fault.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Generic, TypeVar

from sfumato.errors import ImageError, ServiceError
from sfumato.serve.pictures.extract import Found, Seen
from sfumato.serve.pictures.looking import EndedError, Looking
from sfumato.serve.pictures.suspects import Suspects
from sfumato.serve.waiting.groups import Groups

Answer = TypeVar("Answer")
_GROUP: Final = 8  # pictures: few, so that the first are soon answered


@dataclass(slots=True, eq=False)
class Asked(Generic[Answer]):
    """A file on its way, and where its answer goes."""

    content: bytes
    answer: Future[Answer] = field(default_factory=Future)
    ended: int = 0
    """Processes that ended while they had it."""

    @property
    def sender(self) -> str | None:
        """Whose large pictures are counted together; None is nobody in particular."""
        return None

    def fail(self, error: BaseException) -> None:
        """Answer that nothing is known."""
        self.answer.set_exception(error)


Item = TypeVar("Item", bound=Asked)  # type: ignore[type-arg]  # of any answer


class Asking(Generic[Item]):
    """Has files looked at, and hands each to `ready` with what it shows. Thread-safe.

    What cannot be looked at is answered here: an `ImageError` where the bytes are no picture, a too
    large one, or end the processes that try; a `RequestError` where enough large ones wait.
    `hashes` says whether the hashes of near copies are wanted now, and `noted` hears of each
    file that a process ended at.
    """

    def __init__(
        self,
        looking: Looking,
        *,
        ready: Callable[[Item, Seen], None],
        noted: Callable[[Item], None],
        hashes: Callable[[], bool] = lambda: False,
    ) -> None:
        self.looking, self.large = looking, looking.lane
        self._ready, self._hashes, self._noted = ready, hashes, noted
        self._suspects = Suspects()
        self._small = Groups(self._look, looking.pool, threads=looking.threads, most=_GROUP)

    def put(self, asked: Item) -> None:
        """Have a file looked at.

        Raises:
            ServiceError: it was closed.
        """
        self._small.put(asked)

    def close(self) -> None:
        """End the threads, after what they work on, and who looks at pictures."""
        self.looking.hurry()
        self.large.close()
        self._small.close()
        self.looking.close()

    def _look(self, group: list[Item]) -> None:
        """Look at pictures, and hand each on as soon as it was looked at."""
        # Who has gone away meanwhile is not asked about.
        here = [a for a in group if a.answer.set_running_or_notify_cancel()]
        near = [a for a in here if not self._suspects.holds(a.content, a.sender)]
        for asked in here:
            if asked not in near:
                self._look_apart(asked)
        left = deque(near)
        try:
            every = [asked.content for asked in near]
            for seen in self.looking.small(every, hashes=self._hashes()):
                self._looked(left.popleft(), seen)
        except BaseException as error:
            for asked in left:
                asked.fail(error)

    def _looked(self, asked: Item, seen: Found) -> None:
        if isinstance(seen, EndedError):
            self._note_end(asked)
        if seen is None or isinstance(seen, EndedError):
            self._look_apart(asked)
        elif isinstance(seen, BaseException):
            asked.fail(seen)
        else:
            self._hand_on(asked, seen)

    def _look_apart(self, asked: Item) -> None:
        """Look at a picture where it makes no other wait for long."""
        try:
            later = self.large.submit(asked.sender, partial(self._look_at_all, asked))
            later.add_done_callback(partial(_given_up, asked))
        except BaseException as error:
            asked.fail(error)

    def _look_at_all(self, asked: Item) -> None:
        try:
            seen = self._twice(asked)
        except BaseException as error:
            asked.fail(error)
        else:
            self._hand_on(asked, seen)

    def _twice(self, asked: Item) -> Seen:
        """Return what a file shows; where a process ends at it, that need not be the file's fault.

        Raises:
            ImageError: it is the second that ends.
        """
        while True:
            try:
                return self.looking.all(asked.content, hashes=self._hashes())
            except EndedError as error:
                self._note_end(asked)
                if asked.ended > 1:
                    raise ImageError(
                        "expected a picture that can be decoded; the process that tried ended, "
                        "twice; save it as another format, or with another program"
                    ) from error

    def _note_end(self, asked: Item) -> None:
        asked.ended += 1
        self._suspects.add(asked.content, asked.sender)
        self._noted(asked)

    def _hand_on(self, asked: Item, seen: Seen) -> None:
        try:
            self._ready(asked, seen)
        except BaseException as error:
            asked.fail(error)


def _given_up(asked: Asked[object], looked: Future[None]) -> None:
    if looked.cancelled():
        asked.fail(ServiceError("the service ends; send the picture again"))
