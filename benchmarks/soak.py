"""Whether the server's memory stays flat under uploads that do not end.

    python -m benchmarks soak [--minutes 10]

Eight clients upload without a pause; the resident memory of the server and its processes is read
every two seconds (what they share is counted once for each).
`mib_per_minute` is the slope of the second half of the run by least squares, after the pools of
threads, connections and allocators have filled; `interval` its 95 % interval over blocks of the
samples (neighbours are alike, so a sample is not a witness of its own).
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.clients import Tally, load
from benchmarks.server import Running, make_backbone, pictures, running

_CLIENTS, _ENROLLMENTS, _EVERY = 8, 1000, 2.0
_DRAWS, _BLOCKS = 2000, 10


def run(*, quick: bool, minutes: float = 10.0) -> dict[str, Any]:
    """Run the soak and print its slope."""
    seconds = 8.0 if quick else 60 * minutes
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_backbone(folder / "public.backbone")
        with running(folder) as server:
            server.settle(_ENROLLMENTS)
            tally, samples = asyncio.run(_watched(server, pictures(), seconds))
    times, mib = np.array(samples).T
    half = times >= times[-1] / 2
    slope, interval = trend(times[half] / 60, mib[half])
    figures = tally.figures() | {
        "minutes": round(float(times[-1]) / 60, 2),
        "mib_first": round(float(mib[0]), 1),
        "mib_middle": round(float(mib[half][0]), 1),
        "mib_last": round(float(mib[-1]), 1),
        "mib_per_minute": round(slope, 3),
        "interval": [round(edge, 3) for edge in interval],
    }
    print(
        f"soak {figures['minutes']} min, {figures['uploads']} uploads: {figures['mib_first']} MiB "
        f"at first, {figures['mib_middle']} in the middle, {figures['mib_last']} at the end; "
        f"{slope:+.3f} MiB a minute over the second half, {interval[0]:+.3f} to {interval[1]:+.3f}"
    )
    return figures


def trend(minutes: np.ndarray, mib: np.ndarray) -> tuple[float, tuple[float, float]]:
    """Return the slope of memory over time, and its 95 % interval by a block bootstrap."""
    slope, start = np.polyfit(minutes, mib, 1)
    line = slope * minutes + start
    blocks = np.array_split(mib - line, min(_BLOCKS, len(mib)))
    draw = np.random.default_rng(0)
    slopes = []
    # Twice as many blocks as there are: they differ in length by one.
    for _ in range(_DRAWS):
        drawn = np.concatenate(
            [blocks[i] for i in draw.integers(len(blocks), size=2 * len(blocks))]
        )
        slopes.append(np.polyfit(minutes, line + drawn[: len(line)], 1)[0])
    low, high = np.percentile(slopes, [2.5, 97.5])
    return float(slope), (float(low), float(high))


async def _watched(
    server: Running, uploads: list[bytes], seconds: float
) -> tuple[Tally, list[tuple[float, float]]]:
    samples: list[tuple[float, float]] = []

    async def watch() -> None:
        start = time.perf_counter()
        while True:
            samples.append((time.perf_counter() - start, resident_mib(server.process.pid)))
            await asyncio.sleep(min(_EVERY, seconds / 8))

    watching = asyncio.create_task(watch())
    tally = await load(server.port, server.token, uploads, clients=_CLIENTS, seconds=seconds)
    watching.cancel()
    return tally, samples


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process and of those that it started."""
    pages = sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in _family(pid))
    return pages * 4096 / (1 << 20)


def _family(pid: int) -> Iterator[int]:
    yield pid
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in listed.read_text().split():
            yield from _family(int(child))
