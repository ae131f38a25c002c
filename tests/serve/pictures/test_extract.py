"""However many ask, pictures are decoded on as many threads as there are cores."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from sfumato.data.decoding.decode import ImageLimits, View
from sfumato.errors import ImageError
from sfumato.serve.pictures.extract import Pictures
from tests.serve.conftest import Start, bearer
from tests.serve.world import World


def test_features_are_the_backbones_and_errors_the_decoders(world: World) -> None:
    pictures = Pictures(world.backbone, ImageLimits())
    seen = pictures.small(world.png(0, 3), hashes=False)
    assert seen is not None
    assert torch.equal(seen.features, world.backbone(world.images[0][3][None]))
    assert (seen.frames, [len(one) for one in seen.hashes], seen.frame(0)) == ((0,), [0], None)
    with pytest.raises(ImageError, match="expected a picture"):
        pictures.small(b"no picture", hashes=False)
    again = pictures.all(world.png(0, 3), hashes=False)
    assert torch.equal(again.features, seen.features)


def test_requests_on_many_threads_share_a_few(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, service = start()
    eve = bearer(service, "eve")
    threads: set[int] = set()
    at_once, most, lock, see = 0, 0, threading.Lock(), service.uploads.asking.looking.pictures.see

    def counted(views: Iterator[View], *, hashes: bool) -> object:
        nonlocal at_once, most
        with lock:
            threads.add(threading.get_ident())
            at_once += 1
            most = max(most, at_once)
        threading.Event().wait(0.02)
        with lock:
            at_once -= 1
        return see(views, hashes=hashes)

    monkeypatch.setattr(service.uploads.asking.looking.pictures, "see", counted)

    def upload(index: int) -> int:
        return client.post("/v1/uploads", content=world.png(8, index), headers=eve).status_code

    with ThreadPoolExecutor(24) as pool:
        assert set(pool.map(upload, range(48))) == {200}
    assert len(threads) <= (os.cpu_count() or 1)
    assert most <= (os.cpu_count() or 1)


def test_matrices_are_multiplied_on_the_same_threads_whoever_asks(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sfumato.filter.bank import bank

    client, service = start(uploads_per_minute=10_000)
    ada, eve = bearer(service, "ada"), bearer(service, "eve")
    client.post("/v1/enrollments", content=world.enrollments[0], headers=ada)
    threads: set[str] = set()
    score = bank.tile_errors

    def noted(*arguments: torch.Tensor) -> None:
        threads.add(threading.current_thread().name)
        score(*arguments)

    monkeypatch.setattr(bank, "tile_errors", noted)
    with ThreadPoolExecutor(8) as pool:
        sent = [(world.png(0, index), eve) for index in range(24)]
        list(pool.map(lambda s: client.post("/v1/uploads", content=s[0], headers=s[1]), sent))
    assert 1 <= len(threads) <= torch.get_num_threads()
    assert all(name.startswith("sfumato-score") for name in threads)
