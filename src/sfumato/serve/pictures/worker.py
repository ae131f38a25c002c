"""One process that decodes pictures, started anew where it has ended."""

from __future__ import annotations

import math
import multiprocessing
import os
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import repeat
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from typing import Final

from sfumato.errors import ServiceError
from sfumato.printable import printable
from sfumato.serve.pictures import bare, pictureprocess
from sfumato.serve.pictures.extract import Found
from sfumato.serve.pictures.looking import EndedError
from sfumato.serve.pictures.pictureprocess import READY
from sfumato.serve.pictures.seenbytes import (
    MOST_BYTES,
    NUMBER_BYTES,
    answer_to,
    pack_question,
    unpack_answer,
)

PRELOADED: Final = [bare.__name__, pictureprocess.__name__]
"""What the process has loaded of which the others are copies; the first must be the first."""
START_SECONDS: Final = 180.0  # a busy machine, and a backbone of gigabytes
START_PATIENCE: Final = 10.0
"""A process may take so many times as long to start as the last that started in its place."""
LEAST_START_SECONDS: Final = 10.0
PATIENCE: Final = 2.0
"""A picture may take so many times as long as it may compute: others compute, too."""
_JOIN_SECONDS: Final = 10.0


def context() -> ForkServerContext | SpawnContext:
    """Return how processes are started: on Linux copies of one that has loaded the libraries.

    They share its memory, and start in a tenth of a second. Elsewhere such copies are not safe.
    """
    if sys.platform != "linux" or "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(PRELOADED)
    return found


class Worker:
    """One such process, for one thread at a time; any thread may `kill` it."""

    def __init__(
        self,
        started_by: ForkServerContext | SpawnContext,
        file: bytes,
        dim: int,
        task: pictureprocess.Task,
    ) -> None:
        """`file` is a backbone's, of `dim` features."""
        self._context, self._file, self._dim, self._task = started_by, file, dim, task
        self._pipe: Connection | None = None
        self._closed = False
        self._start_seconds = START_SECONDS
        self.process: BaseProcess | None = None
        self.held_back = ""
        """What the process could not give away, in words."""
        self.due = math.inf

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        process = self.process
        try:
            return process is not None and process.is_alive()
        except ValueError:  # another thread has put it away
            return False

    def revive(self) -> Connection:
        """Return the pipe to the process, which is started where it does not run.

        Raises:
            ServiceError: it does not start, or was closed.
        """
        if self._pipe is not None and self.alive:
            return self._pipe
        self.end()
        if self._closed:
            raise ServiceError("the service ends; send the picture again")
        try:
            return self._started()
        except (EOFError, OSError) as error:
            self.end()
            raise ServiceError(
                f"a process that decodes pictures did not start: {error!r}; the service's log may "
                "say more"
            ) from error
        except ServiceError:
            self.end()
            raise
        finally:
            self.due = math.inf

    def each(self, contents: Sequence[bytes], *, large: bool, hashes: bool) -> Iterator[Found]:
        """Yield what each file shows; `EndedError` for the one at which the process ended."""
        waiting = deque(contents)
        try:
            while waiting:
                try:
                    pipe = self.revive()
                except ServiceError as error:
                    yield from repeat(error, len(waiting))
                    waiting.clear()
                else:
                    yield from self._answers(pipe, waiting, large=large, hashes=hashes)
        finally:
            self.due = math.inf
            if waiting:  # nobody takes the answers that are still to come
                self.end()

    def kill(self) -> None:
        """End the process at once; who waits for it hears so."""
        process = self.process
        if process is not None:
            with suppress(ValueError, OSError):  # it was put away meanwhile
                process.kill()

    def close(self) -> None:
        """End the process, and start no other."""
        self._closed = True

    def end(self) -> None:
        """End the process; it keeps nothing that would be lost."""
        pipe, process, self._pipe, self.process = self._pipe, self.process, None, None
        if pipe is not None:
            pipe.close()
        if process is not None and process.pid is not None:
            process.kill()
            process.join(_JOIN_SECONDS)
            with suppress(ValueError):  # it does not end
                process.close()  # and its descriptors

    def _started(self) -> Connection:
        self._pipe, theirs = self._context.Pipe()
        with theirs:
            # A daemon ends with the service, even where nobody closes that.
            process = self._context.Process(
                target=pictureprocess.main,
                args=(theirs, self._task),
                name="sfumato-pictures",
                daemon=True,
            )
            process.start()
            # First the clock: another thread kills whatever is there when the last one has run out.
            began = time.monotonic()
            self.due = began + self._start_seconds
            self.process = process
        # Twice the time for the next, should this one not start: the machine may be busier now.
        self._start_seconds = min(START_SECONDS, 2 * self._start_seconds)
        self._pipe.send_bytes(self._file)
        said = self._pipe.recv_bytes(pictureprocess.REPORT_BYTES)
        kind, words = said[: len(READY)], printable(said[len(READY) :].decode(errors="replace"))
        if kind != READY:
            raise ServiceError(f"a process that decodes pictures did not start: {words}")
        self.held_back = words
        took = time.monotonic() - began
        self._start_seconds = min(START_SECONDS, max(LEAST_START_SECONDS, START_PATIENCE * took))
        return self._pipe

    def _answers(
        self, pipe: Connection, waiting: deque[bytes], *, large: bool, hashes: bool
    ) -> Iterator[Found]:
        """Yield answers for what waits, up to the one at which the process ends."""
        numbers = [os.urandom(NUMBER_BYTES) for _ in waiting]
        try:
            self._allow(large=large)
            for number, content in zip(numbers, waiting, strict=True):
                pipe.send_bytes(pack_question(number, content, large=large, hashes=hashes))
            for number in numbers:
                self._allow(large=large)
                message = answer_to(number, pipe.recv_bytes(MOST_BYTES))
                found = unpack_answer(message, dim=self._dim)
                waiting.popleft()
                yield found
        except (EOFError, OSError, ServiceError) as error:
            self.end()
            waiting.popleft()
            yield EndedError(f"a process ended while it decoded a picture: {error!r}")

    def _allow(self, *, large: bool) -> None:
        seconds = pictureprocess.LARGE_SECONDS if large else pictureprocess.SMALL_SECONDS
        self.due = time.monotonic() + PATIENCE * seconds
