"""On a Ray cluster of two machines: the same results, and killed workers lose nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from subprocess import PIPE

import psutil
import pytest
import torch
from torch import Tensor

from sfumato.attack.tools.learners import LearnerConfig
from sfumato.audit import Report
from sfumato.audit.run import audit
from sfumato.cluster import RayMap, connected
from sfumato.data.decoding.decode import decode_image
from sfumato.data.imageset import ImageSet
from sfumato.data.lazy import LoadedImages
from sfumato.data.splits import split_images
from sfumato.errors import ConfigError, DataError, ServiceError
from sfumato.protect.baselines import Blur, Noise, Pixelate
from sfumato.protect.release.pictures import write_pictures
from sfumato.serve.bank.memory import BankState
from sfumato.serve.records.decisions import STRANGER
from sfumato.serve.records.shard_share import Share
from sfumato.serve.sharded.actors import RayShards
from sfumato.serve.sharded.bank import ShardedBank
from sfumato.serve.sharded.serving import orders
from sfumato.serve.sharded.shard import ShardOrder
from sfumato.types import Protector
from tests.serve.sharded.conftest import TERMS, Crowd
from tests.waiting import wait_until

NOW = datetime(2026, 11, 21, tzinfo=UTC)
LOCAL_CLUSTER = """
import sys
from sfumato.cluster import connected
with connected("local"):
    import ray
    print(ray.get_runtime_context().gcs_address, flush=True)
    sys.stdin.read()
"""


def squared(flag: Path, number: int) -> int:
    """Kill the worker's process, once, in the middle of the work."""
    if number == 3 and not flag.exists():
        flag.write_text("was here")
        os._exit(1)
    if number == 99:
        raise DataError("99 is no good")
    return number * number


def test_no_cluster_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(ServiceError, match="none answers"), connected("auto"):
        raise AssertionError


@pytest.mark.slow
def test_a_local_cluster_lets_nobody_else_in() -> None:
    """In processes of their own: Ray reads its secret once."""
    pytest.importorskip("ray")
    with subprocess.Popen(
        [sys.executable, "-c", LOCAL_CLUSTER], stdin=PIPE, stdout=PIPE, text=True
    ) as cluster:
        assert cluster.stdin is not None
        assert cluster.stdout is not None
        address = cluster.stdout.readline().strip()
        for secret in ({}, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}):
            join = f"import ray; ray.init(address='{address}'); print('joined')"
            found = subprocess.run(
                [sys.executable, "-c", join],
                env=os.environ | secret, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert "joined" not in found.stdout
            assert "token" in found.stderr
        cluster.stdin.close()
    assert cluster.returncode == 0


@pytest.mark.slow
def test_results_come_in_order_and_a_killed_worker_is_replaced(
    machines: object, tmp_path: Path
) -> None:
    function = partial(squared, tmp_path / "flag")
    assert list(RayMap()(function, list(range(40)))) == [i * i for i in range(40)]
    assert (tmp_path / "flag").exists()
    with pytest.raises(DataError, match=r"^99 is no good$"):
        list(RayMap()(function, [1, 99]))
    with pytest.raises(ConfigError, match="cannot be sent"):
        list(RayMap()(partial(print, (i for i in ())), [1]))


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
def test_a_release_is_bit_identical(
    machines: object, blobs: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sfumato.protect.release.parts.fresh_secret", lambda: bytes(range(32)))
    write = partial(write_pictures, Pixelate(2), LoadedImages(blobs), labels=["mood"])
    write(tmp_path / "here", batch_size=16)
    write(tmp_path / "there", batch_size=16, executor=RayMap())
    assert len(files(tmp_path / "here")) == len(blobs) + 1
    assert files(tmp_path / "here") == files(tmp_path / "there")


@pytest.mark.slow
def test_no_two_workers_draw_the_same_noise(
    machines: object, blobs: ImageSet, tmp_path: Path
) -> None:
    nearly = blobs.subset([0] * 32)
    for number, picture in enumerate(nearly.images):
        picture.view(-1)[number] ^= 1  # equal pictures have equal noise
    write_pictures(
        Noise(0.2), LoadedImages(nearly), tmp_path / "out", batch_size=1, executor=RayMap()
    )
    found = [
        decode_image(content).flatten()
        for name, content in files(tmp_path / "out").items()
        if "png" in name
    ]
    differing = (torch.stack(found)[:, None] != torch.stack(found)[None]).sum(-1)
    assert int((differing > 20).sum()) == 32 * 31


class Failing(Protector):
    name = "failing"

    def release(self, images: Tensor) -> Tensor:
        raise RuntimeError("no such layer")


@pytest.mark.slow
def test_an_audit_reports_the_same(machines: object, blobs: ImageSet, tmp_path: Path) -> None:
    adversary, victims = split_images(blobs, [0.6, 0.4], seed=0)
    config = LearnerConfig(
        learners=("perceptron", "trees"), epochs=5, restarts=1, batch_size=32, device="cpu"
    )

    def figures(report: Report) -> list[object]:
        return [(c.protector, c.attack, c.role, c.key, c.finding, c.error) for c in report.cells]

    audited = partial(
        audit,
        [Blur(1.0), Failing()],
        victims=victims,
        adversary=adversary,
        private="mood",
        utility="person",
        config=config,
    )
    # What an earlier test left in this process (kernels that were chosen, say) is not Ray's doing.
    with ProcessPoolExecutor(
        1, get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as fresh:
        here = fresh.submit(audited).result()
    there = audited(executor=RayMap(), out=tmp_path)
    assert figures(here) == figures(there)
    assert any(c.error for c in there.cells)
    assert any(c.finding for c in there.cells)
    assert figures(audited(out=tmp_path)) == figures(there)


def shard_processes(*, but: frozenset[int] = frozenset()) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if line.startswith("ray::ShardActor") and process.pid not in but:
            found.append(process)
    return found


def agree(crowd: Crowd, bank: ShardedBank, uploads: int = 3) -> None:
    single = BankState.load(crowd.store, TERMS)
    for _ in range(uploads):
        x = crowd.upload()
        for account in (crowd.accounts[0], STRANGER):
            one, parts = single.decide(x, account, NOW), bank.decide(x, account, NOW)
            assert parts.blocks == one.blocks
            assert (parts.margin, parts.score) == (one.margin, one.score)


@pytest.mark.slow
def test_killed_shards_lose_no_decision_and_no_enrollment(machines: object, crowd: Crowd) -> None:
    known = frozenset(process.pid for process in shard_processes())
    with RayShards(orders(crowd.url, TERMS, 2), wait_seconds=120.0) as shards:
        bank = ShardedBank.load(crowd.store, TERMS, shards)
        agree(crowd, bank)
        before = shard_processes(but=known)
        assert len(before) == 2
        for process in before:
            process.kill()
            crowd.insert()  # acknowledged by the database while its shard is down
            agree(crowd, bank)
        assert not {p.pid for p in before} & {p.pid for p in shard_processes()}
        crowd.erase(crowd.names[0])
        agree(crowd, bank)
        assert shards("size", 0) == [
            sum(part.holds(name) for name in crowd.names) for part in (Share(0, 2), Share(1, 2))
        ]


@pytest.mark.slow
def test_a_lost_machine_costs_time_and_nothing_else(machines, crowd: Crowd) -> None:
    with RayShards(orders(crowd.url, TERMS, 2), wait_seconds=120.0) as shards:
        bank = ShardedBank.load(crowd.store, TERMS, shards)
        agree(crowd, bank)
        machines.remove_node(next(iter(machines.worker_nodes)), allow_graceful=False)
        crowd.insert()
        agree(crowd, bank)
        crowd.erase(crowd.names[0])
        agree(crowd, bank)
        assert len(bank) == len(crowd.names)
    machines.add_node(num_cpus=2, object_store_memory=100_000_000)


@pytest.mark.slow
def test_a_shard_that_cannot_be_had_is_no_decision(machines: object, crowd: Crowd) -> None:
    """Nine parts need nine processors, of which there are five."""
    import ray

    with RayShards(orders(crowd.url, TERMS, 9), wait_seconds=3.0) as few:
        bank = ShardedBank(crowd.store, TERMS, few)
        with pytest.raises(ServiceError, match="try again"):
            bank.decide(crowd.upload(), STRANGER, NOW)
    for handle in few.handles:
        ray.kill(handle)


@pytest.mark.slow
def test_a_shard_that_nobody_asks_for_ends(machines: object, crowd: Crowd) -> None:
    import ray

    order = ShardOrder(database=crowd.url, terms=TERMS, share=Share(), idle_seconds=6.0)
    with RayShards([order], wait_seconds=120.0) as one:
        assert one("size", 0) == [len(crowd.names)]
        # Its own process: shards that the tests above killed may be starting again meanwhile.
        mine = ray.get(one.handles[0].__ray_call__.remote(lambda _: os.getpid()))
    wait_until(lambda: mine not in {process.pid for process in shard_processes()}, every=0.5)
