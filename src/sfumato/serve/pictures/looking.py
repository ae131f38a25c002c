"""Who decodes pictures and computes their features: this process, or processes of their own.

A service has processes for it (`processes`). Where few ask, as in tests and on small machines, it
is done here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, runtime_checkable

from sfumato.errors import ServiceError
from sfumato.serve.pictures.extract import Found, Pictures, Seen
from sfumato.serve.pictures.lanes import large_lane, small_pool, small_threads
from sfumato.serve.waiting.lane import Lane


class EndedError(ServiceError):
    """A process ended while it had a picture: the decoder failed on it, or somebody ended it."""


@runtime_checkable
class Looking(Protocol):
    """Turns files into what the filter knows of them. Safe to use from many threads."""

    threads: int
    """How many of the pool's threads have a group of small pictures at once."""
    pool: ThreadPoolExecutor
    """On which groups of small pictures are asked about."""
    lane: Lane
    """In which large ones are."""

    def small(self, contents: Sequence[bytes], *, hashes: bool) -> Iterator[Found]:
        """Yield of each file what its small picture is to the filter, or why there is nothing.

        None is a file that shows a large picture, and `EndedError` one that must not be asked about
        in a group again.
        """
        ...

    def all(self, content: bytes, *, hashes: bool) -> Seen:
        """Return what the pictures in a file's bytes are to the filter, however large.

        Raises:
            ImageError: the bytes are no picture, or a too large one.
            EndedError: a process ended while it had it; another one is there.
            ServiceError: no process can be started.
        """
        ...

    def wait(self) -> None:
        """Return once pictures can be taken, or raise a ServiceError where that fails."""
        ...

    def check(self) -> None:
        """Raise a ServiceError where nobody could take a picture now."""
        ...

    def hurry(self) -> None:
        """Let what is looked at now come to an end within seconds, and begin nothing later."""
        ...

    def close(self) -> None:
        """End what was started, after the pool and the lane."""
        ...


class Here:
    """Decodes and computes in this process, on one thread a core."""

    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures
        self.threads, self.pool, self.lane = small_threads(), small_pool(), large_lane()

    def small(self, contents: Sequence[bytes], *, hashes: bool) -> Iterator[Found]:
        """Yield what each file's small picture is to the filter; as `Pictures.small`."""
        for content in contents:
            try:
                found: Found = self.pictures.small(content, hashes=hashes)
            except BaseException as error:  # of one file, which no other waits for
                found = error
            yield found

    def all(self, content: bytes, *, hashes: bool) -> Seen:
        """Return what the pictures in a file are to the filter; as `Pictures.all`."""
        return self.pictures.all(content, hashes=hashes)

    def wait(self) -> None:
        """Do nothing: this process is here."""

    def check(self) -> None:
        """Do nothing: this process is here."""

    def hurry(self) -> None:
        """Do nothing: nothing ends a thread."""

    def close(self) -> None:
        """Do nothing: the pool and the lane are all there is."""
