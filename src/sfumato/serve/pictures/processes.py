"""Processes that decode pictures and compute features, as many as cores, and a few for large ones.

Whoever holds the bank and the database never decodes a stranger's bytes. A process that ends is
replaced, and only the picture that it had is affected.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from typing import Final

from sfumato.data.decoding.decode import ImageLimits
from sfumato.errors import ConfigError, ServiceError
from sfumato.features.backbone import Backbone
from sfumato.serve.pictures.extract import Found, Pictures, Seen
from sfumato.serve.pictures.lanes import lane_of, large_threads, small_threads
from sfumato.serve.pictures.looking import Here, Looking
from sfumato.serve.pictures.pictureprocess import Task
from sfumato.serve.pictures.watch import Watch
from sfumato.serve.pictures.worker import Worker, context

_END_SECONDS: Final = 5.0  # for what is looked at when the service ends
_log = logging.getLogger("sfumato.serve")


def open_looking(
    backbone: Backbone,
    file: bytes,
    limits: ImageLimits,
    *,
    workers: int | None,
    one: bool = False,
) -> Looking:
    """Return who decodes pictures: so many processes, None one a core, or with 0 this process.

    `file` is the backbone's. With `one`, a file must be a still picture of one feature.

    Raises:
        ConfigError: the backbone's network is code that no file holds, and processes should load
            it.
    """
    if workers == 0:
        return Here(Pictures(backbone, limits, one=one))
    if backbone.kind == "module":
        raise ConfigError(
            f"`workers` must be 0 for the backbone {backbone.name}: no file holds its network's "
            "code, so that no process could load it"
        )
    return Processes(backbone, file, limits, workers, one=one)


class Processes:
    """Decodes and computes in processes; see `Looking`.

    `count` of them take small pictures, None one a core.
    """

    def __init__(
        self,
        backbone: Backbone,
        file: bytes,
        limits: ImageLimits,
        count: int | None,
        *,
        one: bool = False,
    ) -> None:
        self.threads = small_threads() if count is None else count
        few = large_threads(self.threads)
        self.pool = ThreadPoolExecutor(self.threads, thread_name_prefix="sfumato-picture")
        apart = ThreadPoolExecutor(few, thread_name_prefix="sfumato-large")
        self.lane = lane_of(apart)
        started_by = context()
        self.workers, self.large_workers = (
            [
                Worker(started_by, file, backbone.dim, Task(limits, gives_way=way, one=one))
                for _ in range(number)
            ]
            for number, way in ((self.threads, False), (few, True))
        )
        self._free, self._free_large = _queue(self.workers), _queue(self.large_workers)
        self._watch = Watch([*self.workers, *self.large_workers])
        self._starting = [self.pool.submit(one.revive) for one in self.workers]
        self._starting += [apart.submit(one.revive) for one in self.large_workers]

    def wait(self) -> None:
        """Return once every process answers.

        Raises:
            ServiceError: one does not start.
        """
        for one in self._starting:
            one.result()
        if held_back := self.workers[0].held_back:
            _log.warning("pictures are decoded without a sandbox: %s", held_back)

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

    def hurry(self) -> None:
        """End what is looked at within seconds, and start no process anew."""
        for one in (*self.workers, *self.large_workers):
            one.close()
        self._watch.end_all(_END_SECONDS)

    def close(self) -> None:
        """End the processes."""
        self.hurry()
        self.lane.close()
        self.pool.shutdown()
        self._watch.close()
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
