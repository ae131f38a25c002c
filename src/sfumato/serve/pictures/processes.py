"""Processes that decode pictures and compute features, as many as cores, and a few for large ones.

Whoever holds the bank and the database never decodes a stranger's bytes. A process that ends is
replaced, and only the picture that it had is affected.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import repeat
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from typing import Final

from sfumato.data.decoding.decode import ImageLimits
from sfumato.errors import ServiceError
from sfumato.features.backbone import Backbone
from sfumato.serve.pictures import pictureprocess
from sfumato.serve.pictures.extract import Found, Seen
from sfumato.serve.pictures.lanes import lane_of, large_threads, small_threads
from sfumato.serve.pictures.looking import EndedError
from sfumato.serve.pictures.seenbytes import MOST_BYTES, pack_question, unpack_answer

PRELOADED: Final = [pictureprocess.__name__]
"""What the process has loaded of which the others are copies."""
_START_SECONDS: Final = 180.0  # a busy machine, and a backbone of gigabytes


def _context() -> ForkServerContext | SpawnContext:
    """Return how processes are started: on Linux copies of one that has loaded the libraries.

    They share its memory, and start in a tenth of a second. Elsewhere such copies are not safe.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


class Worker:
    """One such process, started anew where it has ended. For one thread at a time."""

    def __init__(
        self,
        context: ForkServerContext | SpawnContext,
        backbone: Backbone,
        backbone_file: bytes,
        limits: ImageLimits,
        *,
        gives_way: bool,
    ) -> None:
        self._context, self._limits, self._gives_way = context, limits, gives_way
        self._dim, self._file = backbone.dim, backbone_file
        self._pipe: Connection | None = None
        self.process: BaseProcess | None = None

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.is_alive()

    def revive(self) -> Connection:
        """Return the pipe to the process, which is started where it does not run.

        Raises:
            ServiceError: it does not start.
        """
        if self._pipe is not None and self.alive:
            return self._pipe
        self.end()
        try:
            return self._started()
        except (EOFError, OSError) as error:
            self.end()
            raise ServiceError(
                "a process that decodes pictures did not start; the service's log may say why"
            ) from error

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
            if waiting:  # nobody takes the answers that are still to come
                self.end()

    def end(self) -> None:
        """End the process; it keeps nothing that would be lost."""
        if self._pipe is not None:
            self._pipe.close()
        if self.process is not None:
            self.process.kill()
            self.process.join()
        self._pipe = self.process = None

    def _started(self) -> Connection:
        self._pipe, theirs = self._context.Pipe()
        with theirs:
            # A daemon ends with the service, even where nobody closes that.
            self.process = self._context.Process(
                target=pictureprocess.main,
                args=(theirs, self._limits, self._gives_way),
                name="sfumato-pictures",
                daemon=True,
            )
            self.process.start()
        self._pipe.send_bytes(self._file)
        if not self._pipe.poll(_START_SECONDS):
            raise TimeoutError
        self._pipe.recv_bytes(len(pictureprocess.READY))
        return self._pipe

    def _answers(
        self, pipe: Connection, waiting: deque[bytes], *, large: bool, hashes: bool
    ) -> Iterator[Found]:
        """Yield answers for what waits, up to the one at which the process ends."""
        try:
            for content in waiting:
                pipe.send_bytes(pack_question(content, large=large, hashes=hashes))
            while waiting:
                found = unpack_answer(pipe.recv_bytes(MOST_BYTES), dim=self._dim)
                waiting.popleft()
                yield found
        except (EOFError, OSError, ServiceError) as error:
            self.end()
            waiting.popleft()
            yield EndedError(f"a process ended while it decoded a picture: {error!r}")


class Processes:
    """Decodes and computes in processes; see `Looking`.

    `count` of them take small pictures, None one a core.
    """

    def __init__(
        self, backbone: Backbone, backbone_file: bytes, limits: ImageLimits, count: int | None
    ) -> None:
        self.threads = small_threads() if count is None else count
        few = large_threads(self.threads)
        self.pool = ThreadPoolExecutor(self.threads, thread_name_prefix="sfumato-picture")
        apart = ThreadPoolExecutor(few, thread_name_prefix="sfumato-large")
        self.lane = lane_of(apart)
        context = _context()
        self.workers, self.large_workers = (
            [Worker(context, backbone, backbone_file, limits, gives_way=way) for _ in range(number)]
            for number, way in ((self.threads, False), (few, True))
        )
        self._free, self._free_large = _queue(self.workers), _queue(self.large_workers)
        self._starting = [self.pool.submit(one.revive) for one in self.workers]
        self._starting += [apart.submit(one.revive) for one in self.large_workers]

    def wait(self) -> None:
        """Return once every process answers.

        Raises:
            ServiceError: one does not start.
        """
        for one in self._starting:
            one.result()

    def small(self, contents: Sequence[bytes], *, hashes: bool) -> Iterator[Found]:
        """Yield what each file's small picture is to the filter; as `Looking.small`."""
        with _one_of(self._free) as worker:
            yield from worker.each(contents, large=False, hashes=hashes)

    def all(self, content: bytes, *, hashes: bool) -> Seen:
        """Return what the pictures in a file are to the filter; as `Looking.all`."""
        with _one_of(self._free_large) as worker:
            (found,) = worker.each([content], large=True, hashes=hashes)
        if isinstance(found, BaseException):
            raise found
        if found is None:
            raise ServiceError("expected all pictures of a file to be looked at")
        return found

    def check(self) -> None:
        """Raise a ServiceError where no process runs for small pictures."""
        if not any(one.alive for one in self.workers):
            raise ServiceError("no process that decodes pictures runs; one is being started")

    def close(self) -> None:
        """End the processes."""
        self.lane.close()
        self.pool.shutdown()
        for one in (*self.workers, *self.large_workers):
            one.end()


def _queue(workers: Sequence[Worker]) -> SimpleQueue[Worker]:
    found: SimpleQueue[Worker] = SimpleQueue()
    for one in workers:
        found.put(one)
    return found


@contextmanager
def _one_of(free: SimpleQueue[Worker]) -> Iterator[Worker]:
    worker = free.get()
    try:
        yield worker
    finally:
        with suppress(ServiceError):  # so that the next picture need not wait for it
            worker.revive()
        free.put(worker)
