"""The load generator counts what a server answers, and the soak finds a leak where there is one."""

from __future__ import annotations

import asyncio
from itertools import count

import numpy as np
import pytest

from benchmarks import clients as module
from benchmarks.clients import Tally, load
from benchmarks.soak import trend


@pytest.fixture(autouse=True)
def _a_second_is_a_hundred_looks_at_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has to wait for its core began no upload in four tenths of a real one."""
    monkeypatch.setattr(module.time, "perf_counter", count(0.0, 0.01).__next__)


def answered(status: str, *, clients: int = 3, seconds: float = 0.4) -> Tally:
    """What the generator tells of a server that gives one answer to everybody."""

    async def serve() -> Tally:
        bodies: list[bytes] = []

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    assert b"Authorization: Bearer secret" in head
                    bodies.append(await reader.readexactly(5))
                    writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok".encode())
            except asyncio.IncompleteReadError:
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            tally = await load(
                port, "secret", [b"first", b"other"], clients=clients, seconds=seconds
            )
        assert set(bodies) == {b"first", b"other"}
        assert len(bodies) == sum(tally.statuses.values())
        return tally

    return asyncio.run(serve())


def test_every_answer_is_counted_once() -> None:
    tally = answered("200 OK")
    figures = tally.figures()
    assert figures["uploads"] == tally.statuses[200] > 0
    assert figures["uploads_per_s"] == pytest.approx(figures["uploads"] / tally.elapsed, abs=0.01)
    assert 0 < figures["p50_ms"] <= figures["p99_ms"]


def test_refusals_are_no_uploads() -> None:
    figures = answered("503 Busy\r\nRetry-After: 2").figures()
    assert figures["uploads"] == 0
    assert set(figures["statuses"]) == {"503"}
    assert figures["retry_after"] == figures["statuses"]["503"]


def test_percentiles_are_those_of_the_nearest_rank() -> None:
    tally = Tally(seconds=[n / 1000 for n in range(1, 101)], elapsed=1.0)
    assert (tally.figures()["p50_ms"], tally.figures()["p99_ms"]) == (50.0, 99.0)


@pytest.mark.parametrize("samples", [150, 145])
def test_a_leak_is_told_from_flat_memory(samples: int) -> None:
    minutes = np.linspace(0, 5, samples)
    noise = np.random.default_rng(1).normal(0, 0.5, samples)
    slope, (low, high) = trend(minutes, 300 + 2 * minutes + noise)
    assert low < slope < high
    assert 1.8 < low < high < 2.2
    _, (low, high) = trend(minutes, 300 + noise)
    assert low < 0 < high
