"""What a shortlist costs and saves, D = 128 and M = 32: the constants of `docs/scaling.md`.

- `scoring`: a bank scored whole, one image and a batch of 64, and a few of its rows alone.
- `listing`: one pass over the list, at numbers of enrollments whose autoencoders need not be in
  memory; beside it the same test by faiss's flat range search.
- `adding`: an enrollment added to a bank with and without a list.
- `decisions` and `hashes`: a whole decision, and a lookup of a hash (`benchmarks.decision`).

Times are a core's, added up over the cores: what matters where many uploads come at once.
"""

from __future__ import annotations

import math
import os
import time
from functools import partial
from typing import Any

import faiss
import numpy as np
import torch

from benchmarks.bank import random_bank
from benchmarks.decision import decisions, hashes
from benchmarks.enrollments import HIDDEN, random_enrollment
from benchmarks.interleave import best_core_seconds
from benchmarks.processor import processor
from sfumato.filter.bank.bank import Bank
from sfumato.filter.bank.shortlist import Shortlist

_DIM = 128
_BATCH = 64
_BACKBONE = "0" * 64
LIMIT = 1.4  # of the error, of every row


def run(*, quick: bool) -> dict[str, Any]:
    """Run all parts and print a line for each measurement."""
    rounds = 2 if quick else 4
    banks = ((2000, torch.float32), (2000, torch.bfloat16))
    large = ((20_000, torch.float32), (20_000, torch.bfloat16))
    lists = (5000,) if quick else (10_000, 100_000, 1_000_000)
    return {
        "processor": processor(),
        "load_average": os.getloadavg()[0],
        "scoring": [scoring(count, dtype, rounds) for count, dtype in (banks if quick else large)],
        "listing": [listing(count, rounds) for count in lists],
        "adding": adding(200 if quick else 2000),
        "decisions": decisions((2000, 5000) if quick else (10**4, 10**5, 10**6), rounds),
        "hashes": [hashes(count, rounds) for count in ((5000,) if quick else (10**6, 10**7))],
    }


def scoring(count: int, dtype: torch.dtype, rounds: int) -> dict[str, Any]:
    """Measure whole banks against some rows of them."""
    bank = random_bank(_DIM, count, dtype)
    one, batch = torch.rand(1, _DIM), torch.rand(_BATCH, _DIM)
    generator = torch.Generator().manual_seed(0)
    order = [str(row) for row in torch.randperm(count, generator=generator).tolist()]
    few = {k: order[:k] for k in (10, 100, 1000)}
    seconds = best_core_seconds(
        {
            "one": partial(bank.score, one),
            "batch": partial(bank.score, batch),
            **{f"picked {k}": partial(bank.score, one, ids) for k, ids in few.items()},
        },
        rounds,
    )
    stored = sum(t.nbytes for s in bank.segments for t in s.used().values())
    figures: dict[str, Any] = {
        "enrollments": count,
        "dtype": str(dtype).removeprefix("torch."),
        "bytes_each": stored / count,
        "one_ms": 1e3 * seconds["one"],
        "batch_ms": 1e3 * seconds["batch"],
        "picked_ms": {str(k): 1e3 * seconds[f"picked {k}"] for k in few},
    }
    picked = ", ".join(f"{k} rows {v:.2f} ms" for k, v in figures["picked_ms"].items())
    print(
        f"N {count}, {figures['dtype']}: {figures['bytes_each']:.0f} bytes each, one image "
        f"{figures['one_ms']:.0f} ms, 64 {figures['batch_ms']:.0f} ms; one image, {picked}"
    )
    return figures


def listing(count: int, rounds: int) -> dict[str, Any]:
    """Measure one pass over a list of random rows, and faiss's range search over the same."""
    made = Shortlist(_DIM, reach=1.0)
    for start in range(0, count, made.rows_a_block):
        rows = min(made.rows_a_block, count - start)
        made.append_rows(torch.rand(rows, _DIM), torch.full((rows,), 0.5))
    one, batch = torch.rand(1, _DIM), torch.rand(_BATCH, _DIM)
    limits = torch.full((count,), LIMIT)
    index, queries = faiss_index(made), [faiss_queries(x) for x in (one, batch)]
    seconds = best_core_seconds(
        {
            "one": partial(made.near, one, limits),
            "batch": partial(made.near, batch, limits),
            "faiss one": partial(index.range_search, queries[0], 0.0),
            "faiss batch": partial(index.range_search, queries[1], 0.0),
        },
        rounds,
    )
    figures: dict[str, Any] = {
        "enrollments": count,
        "bytes_each": 4 * (_DIM + made.sketch.size + 4),
    }
    figures |= {f"{name.replace(' ', '_')}_ms": 1e3 * spent for name, spent in seconds.items()}
    print(
        f"list of {count}: one image {figures['one_ms']:.1f} ms (faiss flat "
        f"{figures['faiss_one_ms']:.1f}), 64 {figures['batch_ms']:.0f} ms "
        f"({figures['faiss_batch_ms']:.0f})"
    )
    return figures


def adding(count: int) -> dict[str, float]:
    """Measure what the list adds to adding."""
    enrollment = random_enrollment(_DIM, _BACKBONE)
    found = {}
    for name, reach in (("without", None), ("with", 1.0)):
        bank = Bank.empty(_DIM, HIDDEN, backbone=_BACKBONE, reach=reach)
        start = time.process_time()
        for number in range(count):
            bank.add(str(number), enrollment)
        found[f"{name}_us"] = 1e6 * (time.process_time() - start) / count
    print(f"adding: {found['without_us']:.0f} us, with a list {found['with_us']:.0f} us")
    return found


def faiss_index(made: Shortlist) -> faiss.IndexFlatIP:
    """Return faiss's index of 2 m and the rest of the rule, so that listed is a product above 0."""
    index = faiss.IndexFlatIP(_DIM + 2)
    for block in made.blocks:
        means = block.means[: block.count]
        square = means.square().sum(1)
        radius = math.sqrt(LIMIT) + made.reach * block.spread[: block.count]
        rest = torch.stack([radius.square() - square, -torch.ones_like(square)], 1)
        index.add(torch.cat([2 * means, rest], 1).numpy())
    return index


def faiss_queries(x: torch.Tensor) -> np.ndarray:
    """Return the pictures as queries of `faiss_index`."""
    squares = x.square().sum(1, keepdim=True)
    query: np.ndarray = torch.cat([x, torch.ones_like(squares), squares], 1).numpy()
    return query
