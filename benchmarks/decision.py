"""What one decision costs with a list, D = 128 and M = 32, beside a lookup of a hash.

- `decisions`: who may claim a picture by the list, and those scored, for means that vary alike in
  all directions and for means that vary as faces do. Each picture's list holds about one row in a
  thousand. `exponent` says how fast the time grows from the smallest bank to the largest.
- `hashes`: faiss's exact lookup of PDQ hashes within 31 bits, one and 64 at a time.

Segments share one memory of 288 MiB, far more than any cache: a bank of a million takes 35 GiB, and
its rows would be read from memory just so. Means are each row's own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from statistics import median
from typing import Any

import faiss
import numpy as np
import torch
from torch import Tensor

from benchmarks.enrollments import HIDDEN
from benchmarks.interleave import best_core_seconds, best_seconds
from sfumato.filter.bank.picks import Picks
from sfumato.filter.bank.scoring import score_picked, wipe_scratch
from sfumato.filter.bank.segment import Segment
from sfumato.filter.bank.shortlist import Shortlist
from sfumato.filter.bank.workers import run_all
from sfumato.filter.neardup import BYTES, MATCH

_DIM, _BATCH, _PICTURES = 128, 64, 9
_LISTED = 1e-3
_ROWS = 8192  # of a segment, as a bank's are at most
# The square roots of the variances of oriented gradients of 3,000 people of LFW, along the
# directions in which these vary most, within a tenth from the first to the 128th.
_LIKE_FACES = 0.29 * torch.exp(-torch.arange(_DIM).sqrt() / 4.3)
_CPU = torch.device("cpu")


def decisions(counts: Sequence[int], rounds: int) -> list[dict[str, Any]]:
    """Measure both kinds of means at some sizes, and how the time grows."""
    found = []
    for kind in ("alike", "faces"):
        rows = [decision(kind, count, rounds) for count in counts]
        grown = math.log(rows[-1]["core_ms"] / rows[0]["core_ms"])
        exponent = grown / math.log(counts[-1] / counts[0])
        print(f"decisions, {kind}: grow as N^{exponent:.2f}", flush=True)
        found.append({"kind": kind, "rows": rows, "exponent": exponent})
    return found


def decision(kind: str, count: int, rounds: int) -> dict[str, Any]:
    """Measure decisions about some pictures: the medians of each one's best."""
    torch.manual_seed(0)
    turn = torch.linalg.qr(torch.randn(_DIM, _DIM))[0]
    made = Shortlist(_DIM, reach=1.0)
    for start in range(0, count, made.rows_a_block):
        rows = min(made.rows_a_block, count - start)
        made.append_rows(_means(kind, rows, turn), torch.zeros(rows))
    pictures = _means(kind, _PICTURES, turn).split(1)
    limits = torch.full((count,), _limit(made, torch.cat(pictures)))
    segments = _segments(count)
    tasks = {str(i): partial(_decided, made, segments, x, limits) for i, x in enumerate(pictures)}
    lists = {str(i): partial(made.near, x, limits) for i, x in enumerate(pictures)}
    figures = {
        "enrollments": count,
        "listed": median(len(task()) for task in lists.values()),
        "core_ms": 1e3 * median(best_core_seconds(tasks, rounds).values()),
        "wall_ms": 1e3 * median(best_seconds(tasks, rounds).values()),
        "list_core_ms": 1e3 * median(best_core_seconds(lists, rounds).values()),
    }
    print(
        f"decision, means {kind}, N {count}: {figures['core_ms']:.1f} ms of a core, "
        f"{figures['wall_ms']:.1f} ms by the clock; {figures['listed']:.0f} listed in "
        f"{figures['list_core_ms']:.1f} ms of a core",
        flush=True,
    )
    return figures


def hashes(count: int, rounds: int) -> dict[str, Any]:
    """Measure exact lookups of hashes, one and 64 at a time."""
    draw = np.random.default_rng(0)
    index = faiss.IndexBinaryFlat(8 * BYTES)
    index.add(draw.integers(0, 256, (count, BYTES), dtype=np.uint8))
    asked = draw.integers(0, 256, (_BATCH, BYTES), dtype=np.uint8)
    seconds = best_core_seconds(
        {
            "one": partial(index.range_search, asked[:1], MATCH + 1),
            "batch": partial(index.range_search, asked, MATCH + 1),
        },
        rounds,
    )
    figures = {"enrollments": count, **{f"{k}_ms": 1e3 * v for k, v in seconds.items()}}
    print(
        f"{count} hashes by faiss: one {figures['one_ms']:.1f} ms of a core, 64 "
        f"{figures['batch_ms']:.0f}",
        flush=True,
    )
    return figures


def _decided(
    made: Shortlist, segments: Sequence[Segment], x: Tensor, limits: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    picks = Picks.of(segments, made.near(x, limits), _CPU)
    errors = torch.empty(len(picks.columns), 1)
    run_all(
        (partial(score_picked, x, pieces, errors, to) for pieces, to in picks.tiles()),
        wipe_scratch,
    )
    return errors, picks.column("mu"), picks.column("sigma")


def _means(kind: str, count: int, turn: Tensor) -> Tensor:
    if kind == "alike":
        return torch.rand(count, _DIM)
    return (0.5 + (torch.randn(count, _DIM) * _LIKE_FACES) @ turn).clamp(0, 1)


def _limit(made: Shortlist, pictures: Tensor) -> float:
    """Return the squared distance within which one row in a thousand lies."""
    some = made.blocks[0].means[: made.blocks[0].count]
    apart = torch.cdist(pictures, some).flatten().sort().values
    return float(apart[int(_LISTED * len(apart))]) ** 2


def _segments(count: int) -> list[Segment]:
    memory = Segment.empty(min(_ROWS, count), _DIM, HIDDEN, torch.float32)
    for tensor in memory.tensors.values():
        tensor.normal_(std=0.1)
    sizes = [min(_ROWS, count - start) for start in range(0, count, _ROWS)]
    return [Segment(memory.tensors, size) for size in sizes]
