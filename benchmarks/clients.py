"""A bounded load generator: each client sends its next upload when the last one is answered.

Raw asyncio streams over kept connections: a generator that parsed more than it needs would measure
itself. It runs in a process of its own on the same machine, so it takes a share of the cores.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Tally:
    """What came back: seconds of each answered upload, and how many answers of each status."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    retry_after: int = 0
    """Refusals (429, 503) that said when to come back."""
    elapsed: float = 0.0

    def figures(self) -> dict[str, Any]:
        """Return rate, median and 99th percentile, and what else was answered."""
        ordered = sorted(self.seconds)
        return {
            "uploads": len(ordered),
            "uploads_per_s": round(len(ordered) / self.elapsed, 2),
            "p50_ms": _percentile(ordered, 0.50),
            "p99_ms": _percentile(ordered, 0.99),
            "statuses": {str(status): n for status, n in sorted(self.statuses.items())},
            "retry_after": self.retry_after,
        }


async def load(
    port: int, token: str, pictures: Sequence[bytes], *, clients: int, seconds: float
) -> Tally:
    """Upload from `clients` at once for some seconds; each upload begun is waited for."""
    tally, end = Tally(), time.perf_counter() + seconds
    requests = [_request(token, picture) for picture in pictures]
    started = time.perf_counter()
    await asyncio.gather(
        *(
            _client(port, requests[n % len(requests) :] + requests, end, tally)
            for n in range(clients)
        )
    )
    tally.elapsed = time.perf_counter() - started
    return tally


async def _client(port: int, requests: Sequence[bytes], end: float, tally: Tally) -> None:
    reader = writer = None
    number = 0
    while time.perf_counter() < end:
        if reader is None or writer is None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        begun = time.perf_counter()
        try:
            writer.write(requests[number % len(requests)])
            await writer.drain()
            status, waits, closes = await _answer(reader)
        except (ConnectionError, asyncio.IncompleteReadError):
            status, waits, closes = 0, False, True
        tally.statuses[status] += 1
        tally.retry_after += waits
        if status == 200:
            tally.seconds.append(time.perf_counter() - begun)
        else:
            await asyncio.sleep(0.05)
        if closes:
            writer.close()
            reader = writer = None
        number += 1
    if writer is not None:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bool, bool]:
    """Read one answer; return its status, whether it names a time to come back, if it closes."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    await reader.readexactly(int(fields.get(b"content-length", b"0")))
    closes = fields.get(b"connection") == b"close"
    return int(head.split(b" ", 2)[1]), b"retry-after" in fields, closes


def _request(token: str, picture: bytes) -> bytes:
    head = (
        "POST /v1/uploads HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: {len(picture)}\r\n\r\n"
    )
    return head.encode() + picture


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    """Return the smallest value that at least this share of all do not exceed, in milliseconds."""
    if not ordered:
        return None
    return round(1e3 * ordered[max(0, math.ceil(share * len(ordered)) - 1)], 2)
