"""A bank with people, ties and contested pairs in a database; a Ray cluster of two machines."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sfumato.filter.enrollment import Enrollment, open_enrollment, seal_enrollment
from sfumato.filter.rule.screening import Likeness
from sfumato.serve.database.db import open_database
from sfumato.serve.records.auth import add_account
from sfumato.serve.records.erasures import erase
from sfumato.serve.records.store import Store, Stored, Terms

DIM, HIDDEN, BACKBONE = 64, 8, "5" * 64
TERMS = Terms(backbone=BACKBONE, dim=DIM, hidden=HIDDEN)


class Crowd:
    """Four accounts with random enrollments, every third a copy of the one before it."""

    def __init__(self, url: str, *, seed: int, count: int = 24) -> None:
        self.url, self.store = url, Store(open_database(url))
        self.store.fix_terms(TERMS)
        self.generator = torch.Generator().manual_seed(seed)
        self.accounts = [
            add_account(self.store.engine, name, with_token=False)[0].id for name in "abcd"
        ]
        self.names: list[str] = []
        self.keys = 0  # drawn in order, so that ids and shards are the same each time
        self.last: Enrollment | None = None
        for i in range(count):
            self.insert(copy=i % 3 == 2)

    def insert(self, *, copy: bool = False) -> str:
        made = self.last if copy and self.last is not None else self._made()
        self.last = made
        self.keys += 1
        key = Ed25519PrivateKey.from_private_bytes(self.keys.to_bytes(32))
        content = seal_enrollment(made, key)
        name = open_enrollment(content).id
        contests = [
            Likeness(overrider=pair[0], claimant=pair[1], value=0.5)
            for other in self.names[-1:]
            for pair in ((name, other), (other, name))
            if self._draw(3) == 0
        ]
        stored = Stored(id=name, account_id=self.accounts[self._draw(4)], content=content)
        self.store.insert(stored, status="active", reason="", contests=contests)
        self.names.append(name)
        return name

    def erase(self, name: str) -> None:
        erase(self.store, name, actor="test")
        self.names.remove(name)

    def upload(self) -> torch.Tensor:
        return torch.rand(1, DIM, generator=self.generator)

    def _draw(self, top: int) -> int:
        return int(torch.randint(top, (), generator=self.generator))

    def _made(self) -> Enrollment:
        def draw(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, generator=self.generator) * 0.2

        # Errors of random features lie around 6: claims, near misses and far ones.
        mu, sigma = (float(x) for x in torch.rand(2, generator=self.generator))
        hashes = torch.randint(0, 256, (1, 32), generator=self.generator, dtype=torch.uint8)
        return Enrollment(
            encoder=draw(HIDDEN, DIM),
            encoder_bias=draw(HIDDEN),
            decoder=draw(DIM, HIDDEN),
            decoder_bias=draw(DIM),
            code_mean=draw(HIDDEN),
            code_covariance=torch.eye(HIDDEN) * 0.1,
            mu=3.0 + 3 * mu,
            sigma=0.2 + sigma,
            calibration="held-out",
            count=2,
            backbone=BACKBONE,
            copies=hashes,
        )


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[Crowd]:
    made = Crowd(f"sqlite:///{tmp_path}/bank.db", seed=0)
    yield made
    made.store.engine.dispose()


@pytest.fixture(scope="module")
def machines() -> Iterator[object]:
    """Ray's own cluster of two machines on loopback: three processors here, two there."""
    pytest.importorskip("ray")
    changes = {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }
    with mock.patch.dict(os.environ, changes):
        from ray.cluster_utils import Cluster

        from sfumato.cluster import connected

        small = {"object_store_memory": 100_000_000}
        made = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 3, "include_dashboard": False, **small},
        )
        try:
            made.add_node(num_cpus=2, **small)
            with connected(made.address):
                yield made
        finally:
            made.shutdown()
