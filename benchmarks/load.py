"""How many uploads a second the service decides over loopback, and how long each waits.

- `service`: a server process of its own with 10^3, 10^4 and 10^5 enrollments (D = 128, M = 32)
  and 1, 8 and 64 clients, each of which sends its next picture when the last is answered.
  `one_by_one` is the same server with batches of one. Half of the uploads are blocked, and written.
- `listed`: the same with a list (`--shortlist 0.5`) that names one enrollment in 50 for each upload
  (2 %), as on faces where half of the uploads are blocked. What it names is scored.
- `pdq`: what platforms do today, on the same pictures in the same run, without a server: decode,
  hash with PDQ, search faiss's flat binary index of as many hashes for those within 31 bits.
- `limits`: of one thread a second: decoding the pictures alone; scoring alone, one feature and 64
  at a time. `share_of_limit` is the service's rate with most clients over what decoding, features
  and scoring of 64 at a time would allow together without any server.
- `overload`: 64 clients at a server with 8 places. Every answer is a decision, or 503 with
  Retry-After; `longest_ms` is the slowest decision.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.clients import load
from benchmarks.enrollments import HIDDEN
from benchmarks.interleave import best_seconds
from benchmarks.processor import processor
from benchmarks.server import (
    DIM,
    LISTED,
    Running,
    enrollments,
    features,
    make_backbone,
    pictures,
    running,
)
from sfumato.data.decoding.decode import decode_image
from sfumato.features.backbone import Backbone
from sfumato.filter.bank.bank import Bank
from sfumato.filter.neardup import BYTES, MATCH, pdq

_BATCH = 64
_MODES = ("batched", "one_by_one")


def run(*, quick: bool) -> dict[str, Any]:
    """Measure all parts and print a line for each measurement."""
    if quick:
        return measure(counts=(1000,), clients=(1, 8), seconds=2.0)
    return measure(counts=(1000, 10_000, 100_000), clients=(1, 8, 64), seconds=10.0)


def measure(*, counts: tuple[int, ...], clients: tuple[int, ...], seconds: float) -> dict[str, Any]:
    """Measure banks of `counts`, from small to large, under loads of `clients`."""
    busy = os.getloadavg()[0]
    uploads, rows = pictures(), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        backbone = make_backbone(folder / "public.backbone")
        with running(folder) as server:
            for count in counts:
                rows.append(_row(server, backbone, uploads, count, clients, seconds))
                _show(rows[-1])
        with running(folder, listed=True) as server:
            listed = [_listed(server, uploads, count, clients, seconds) for count in counts]
        with running(folder, places=8) as server:
            server.settle(1000)
            refused = overload(server, uploads, 64, seconds)
    return {
        "processor": processor(),
        "load_average": round(busy, 1),
        "rows": rows,
        "listed": listed,
        "overload": refused,
    }


def alone(backbone: Backbone, uploads: list[bytes], count: int) -> dict[str, float]:
    """Return how fast this process decodes, computes features and scores, each alone."""
    bank = Bank.empty(DIM, HIDDEN, backbone=backbone.fingerprint)
    for number, made in enumerate(islice(enrollments(backbone, uploads), count)):
        bank.add(str(number), made)
    x = features(backbone, uploads)
    many = x.repeat(-(-_BATCH // len(x)), 1)[:_BATCH]
    seconds = best_seconds(
        {
            "decode": lambda: [decode_image(content) for content in uploads],
            "both": partial(features, backbone, uploads),
            "one": partial(bank.errors, x[:1]),
            "batch": partial(bank.errors, many),
        },
        3,
    )
    return {
        "decode_per_s": round(len(uploads) / seconds["decode"], 1),
        "decode_and_features_per_s": round(len(uploads) / seconds["both"], 1),
        "score_one_per_s": round(1 / seconds["one"], 1),
        "score_batch_per_s": round(_BATCH / seconds["batch"], 1),
        "seconds_each": seconds["both"] / len(uploads) + seconds["batch"] / _BATCH,
    }


def pdq_rate(uploads: list[bytes], count: int) -> dict[str, float]:
    """Return how many pictures a second PDQ and faiss match against as many hashes."""
    import faiss

    draw = np.random.default_rng(0)
    index = faiss.IndexBinaryFlat(8 * BYTES)
    index.add(draw.integers(0, 256, (count, BYTES), dtype=np.uint8))

    def match(contents: list[bytes]) -> None:
        hashes = [h for h in (pdq(decode_image(content)) for content in contents) if h is not None]
        index.range_search(torch.stack(hashes).numpy(), MATCH + 1)

    def match_each() -> None:
        for content in uploads:
            match([content])

    seconds = best_seconds({"one": match_each, "all": partial(match, uploads)}, 3)
    return {
        "one_per_s": round(len(uploads) / seconds["one"], 1),
        "batch_per_s": round(len(uploads) / seconds["all"], 1),
    }


def overload(server: Running, uploads: list[bytes], clients: int, seconds: float) -> dict[str, Any]:
    """Ask more of a server than it has places for."""
    asked = load(server.port, server.token, uploads, clients=clients, seconds=seconds)
    tally = asyncio.run(asked)
    figures = tally.figures() | {"clients": clients}
    figures["longest_ms"] = round(1e3 * max(tally.seconds, default=0.0), 1)
    print(
        f"overload by {clients} clients: {figures['statuses']}, {figures['retry_after']} with "
        f"Retry-After, slowest decision {figures['longest_ms']} ms",
        flush=True,
    )
    return figures


def _row(
    server: Running,
    backbone: Backbone,
    uploads: list[bytes],
    count: int,
    clients: tuple[int, ...],
    seconds: float,
) -> dict[str, Any]:
    """Measure one size of the bank, the peer and the limits beside it."""
    server.settle(count)  # a server that still prepares would take from what is measured here
    limits = alone(backbone, uploads, count)
    row: dict[str, Any] = {"enrollments": count, "limits": limits, "pdq": pdq_rate(uploads, count)}
    for mode in _MODES:
        server.settle(count, batched=mode == "batched")
        row[mode] = _by_clients(server, uploads, clients, seconds)
    best = max(figures["uploads_per_s"] for figures in row["batched"].values())
    return row | {"share_of_limit": round(best * limits["seconds_each"], 3)}


def _listed(
    server: Running, uploads: list[bytes], count: int, clients: tuple[int, ...], seconds: float
) -> dict[str, Any]:
    """Measure one size of a bank with a list, and the peer beside it."""
    server.settle(count)
    row: dict[str, Any] = {"enrollments": count, "listed": LISTED, "pdq": pdq_rate(uploads, count)}
    row["batched"] = _by_clients(server, uploads, clients, seconds)
    for number, figures in row["batched"].items():
        print(
            f"N {count:6}, {number:>2} clients, one in {LISTED} listed: "
            f"{figures['uploads_per_s']:7.1f} uploads/s, p50 {figures['p50_ms']} ms, "
            f"p99 {figures['p99_ms']} ms; PDQ with faiss {row['pdq']['batch_per_s']}/s",
            flush=True,
        )
    return row


def _by_clients(
    server: Running, uploads: list[bytes], clients: tuple[int, ...], seconds: float
) -> dict[str, dict[str, Any]]:
    found = {}
    for number in clients:
        asked = load(server.port, server.token, uploads, clients=number, seconds=seconds)
        found[str(number)] = asyncio.run(asked).figures()
    return found


def _show(row: dict[str, Any]) -> None:
    for mode in _MODES:
        for clients, figures in row[mode].items():
            print(
                f"N {row['enrollments']:6}, {clients:>2} clients, {mode:10}: "
                f"{figures['uploads_per_s']:7.1f} uploads/s, p50 {figures['p50_ms']} ms, "
                f"p99 {figures['p99_ms']} ms, {figures['statuses']}"
            )
    limits, peer = row["limits"], row["pdq"]
    print(
        f"N {row['enrollments']:6}, alone: decode {limits['decode_per_s']}/s, with features "
        f"{limits['decode_and_features_per_s']}/s, score one {limits['score_one_per_s']}/s, "
        f"64 at a time {limits['score_batch_per_s']}/s; the service reaches "
        f"{row['share_of_limit']:.2f} of decode, features and scoring; PDQ with faiss "
        f"{peer['one_per_s']}/s one by one, {peer['batch_per_s']}/s in a batch",
        flush=True,
    )
