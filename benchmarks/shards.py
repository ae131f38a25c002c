"""What a bank in shards costs an upload, on one machine: decisions by one process and by Ray.

All on the same processors, so it measures the way to the shards and back, not what several
machines gain. Uploads are a stranger's: one after the other, and from 32 threads at once, of which
those that wait are scored together.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.orm import Session

from sfumato.cluster import LOCAL, connected
from sfumato.filter.enrollment import Enrollment, open_enrollment, seal_enrollment
from sfumato.serve.bank.memory import BankState
from sfumato.serve.database.db import open_database
from sfumato.serve.database.tables import ContentRow, EnrollmentRow
from sfumato.serve.records.auth import add_account
from sfumato.serve.records.decisions import STRANGER
from sfumato.serve.records.store import Store, Terms
from sfumato.serve.sharded.actors import RayShards
from sfumato.serve.sharded.bank import ShardedBank
from sfumato.serve.sharded.serving import orders

_TERMS = Terms(backbone="0" * 64, dim=128, hidden=32)
_THREADS = 32


def run(*, quick: bool) -> dict[str, Any]:
    """Measure and print a line for each number of shards."""
    count, uploads = (500, 50) if quick else (10_000, 300)
    figures: dict[str, Any] = {"enrollments": count}
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'bank.db'}"
        store = _filled(url, count)
        single = BankState.load(store, _TERMS)
        figures["one process"] = _measured("one process", single.decide, uploads)
        os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)  # where a checkout's workers find it
        with connected(LOCAL):
            for shards in (1, 2):
                with RayShards(orders(url, _TERMS, shards), wait_seconds=600.0) as ask:
                    bank = ShardedBank.load(store, _TERMS, ask)
                    name = f"{shards} shards"
                    figures[name] = _measured(name, bank.decide, uploads)
        store.engine.dispose()
    return figures


def _measured(name: str, decide: Callable[..., object], uploads: int) -> dict[str, float]:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.rand(uploads + 10, 1, _TERMS.dim, generator=generator)
    now, spent = datetime(2026, 1, 1, tzinfo=UTC), []
    for features in drawn:
        start = time.perf_counter()
        decide(features, STRANGER, now)
        spent.append(1000 * (time.perf_counter() - start))
    spent = sorted(spent[10:])
    with ThreadPoolExecutor(_THREADS) as threads:
        start = time.perf_counter()
        list(threads.map(lambda features: decide(features, STRANGER, now), drawn))
        rate = len(drawn) / (time.perf_counter() - start)
    found = {
        "p50_ms": spent[len(spent) // 2],
        "p99_ms": spent[int(len(spent) * 0.99)],
        "together_per_s": rate,
    }
    print(
        f"decision, {name}: p50 {found['p50_ms']:.1f} ms, p99 {found['p99_ms']:.1f} ms; "
        f"{rate:,.0f}/s from {_THREADS} threads"
    )
    return found


def _filled(url: str, count: int) -> Store:
    store = Store(open_database(url))
    store.fix_terms(_TERMS)
    account = add_account(store.engine, "crowd", with_token=False)[0].id
    generator = torch.Generator().manual_seed(0)
    key = Ed25519PrivateKey.generate()
    with Session(store.engine) as session, session.begin():
        for _ in range(count):
            content = seal_enrollment(_drawn(generator), key)
            row = EnrollmentRow(
                id=open_enrollment(content).id,
                account_id=account,
                status="active",
                reason="",
                created=store.clock.text(),
            )
            session.add(row)
            session.flush()
            session.add(ContentRow(enrollment=row.id, content=content))
            session.flush()
            session.expunge_all()
    return store


def _drawn(generator: torch.Generator) -> Enrollment:
    d, m = _TERMS.dim, _TERMS.hidden

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) * 0.1

    return Enrollment(
        encoder=draw(m, d),
        encoder_bias=draw(m),
        decoder=draw(d, m),
        decoder_bias=draw(d),
        code_mean=draw(m),
        code_covariance=torch.eye(m),
        mu=5.0,
        sigma=0.5,
        calibration="held-out",
        count=2,
        backbone=_TERMS.backbone,
    )
