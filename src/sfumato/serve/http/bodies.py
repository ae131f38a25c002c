"""Reads request bodies into memory up to a limit, and never onto the disk.

Where a body is the bytes of a file, forms are refused: a form parser writes large parts to
temporary files, and a private picture must not be written to the service's disk.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import ClientDisconnect, Request

from sfumato.errors import RequestError


class Arriving:
    """Counts the bodies of each account that are on their way: slow ones hold places."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._bodies: Counter[int] = Counter()

    @contextmanager
    def one_of(self, account_id: int) -> Iterator[None]:
        """Count one more in a `with` block.

        Raises:
            RequestError: 429 too many of this account are on their way.
        """
        if self._bodies[account_id] >= self._most:
            raise RequestError(
                429,
                f"expected at most {self._most} files of an account on their way at once; "
                "send them one after the other",
                retry_after=1,
            )
        self._bodies[account_id] += 1
        try:
            yield
        finally:
            self._bodies -= Counter({account_id: 1})  # an account that has none is forgotten


async def read_file(request: Request, *, what: str, limit_bytes: int, seconds: float) -> bytes:
    """Return a body that is a file's bytes, within limits.

    Raises:
        RequestError: 400 there is none, 415 it is a form, or as `read_body`.
    """
    if request.headers.get("content-type", "").startswith("multipart/"):
        raise RequestError(415, f"expected the bytes of {what} as the body, got a multipart form")
    body = await read_body(request, what=what, limit_bytes=limit_bytes, seconds=seconds)
    if not body:
        raise RequestError(400, f"expected the bytes of {what} as the body, got none")
    return body


async def read_body(request: Request, *, what: str, limit_bytes: int, seconds: float) -> bytes:
    """Return the body; refuse it before reading where its length is announced, else at the limit.

    Raises:
        RequestError: 413 it is too large, 408 too slow, 400 cut short.
    """
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit_bytes:
        raise _too_large(what, limit_bytes, f"{int(length):,}")
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit_bytes:
                    raise _too_large(what, limit_bytes, "more")
    except TimeoutError as error:
        raise RequestError(408, f"{what} did not arrive within {seconds:g} s") from error
    except ClientDisconnect as error:
        raise RequestError(400, f"{what} was cut short after {len(body):,} bytes") from error
    return bytes(body)


def _too_large(what: str, limit_bytes: int, got: str) -> RequestError:
    return RequestError(413, f"expected {what} of at most {limit_bytes:,} bytes, got {got}")
