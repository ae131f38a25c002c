"""Large pictures wait apart from small ones, few of them, and of one account fewer still."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import pytest
import torch

from sfumato.data.decoding.decode import ImageLimits, decode_views, encode_png
from sfumato.errors import RequestError
from sfumato.serve.bank import extract
from sfumato.serve.bank.extract import Pictures, see
from sfumato.serve.bank.lanes import MOST_LARGE, MOST_OF_ONE, SMALL_PIXELS, Lanes
from tests.serve.world import World


class Held:
    """Lanes whose large pictures are looked at until `go` is set."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.lanes, self.pool = Lanes(), pool
        self.go = threading.Event()
        self.sent: list[Future[str]] = []

    def large(self, account: str | None) -> Future[str]:
        def work() -> str:
            self.go.wait(60)
            return str(account)

        self.sent.append(self.pool.submit(self.lanes.large, work, account=account))
        return self.sent[-1]

    def refused(self, account: str | None) -> RequestError:
        with pytest.raises(RequestError) as caught:
            self.lanes.large(lambda: "", account=account)
        return caught.value


@pytest.fixture
def held() -> Iterator[Held]:
    with ThreadPoolExecutor(MOST_LARGE + 2) as pool:
        made = Held(pool)
        yield made
        made.go.set()
    made.lanes.close()


def wait_for(true: Callable[[], bool]) -> None:
    for _ in range(500):
        if true():
            return
        threading.Event().wait(0.01)
    raise AssertionError


def test_a_small_picture_waits_for_no_large_one(held: Held) -> None:
    for account in range(MOST_LARGE):
        held.large(str(account))
    assert [held.lanes.small(partial(int, n)) for n in range(20)] == list(range(20))
    assert not any(future.done() for future in held.sent)


def test_few_large_ones_wait_and_of_one_account_fewer(held: Held) -> None:
    for _ in range(MOST_OF_ONE):
        held.large("eve")
    wait_for(lambda: held.lanes.asking["eve"] == MOST_OF_ONE)
    assert held.refused("eve").status == 429
    nobody = MOST_OF_ONE + 1  # a gateway names none
    for _ in range(nobody):
        held.large(None)
    for number in range(MOST_LARGE - MOST_OF_ONE - nobody):
        held.large(str(number))
    wait_for(lambda: held.lanes.asking.total() == MOST_LARGE)
    assert held.refused("ada").status == held.refused(None).status == 503
    held.go.set()
    assert {future.result(60) for future in held.sent} >= {"eve", "0"}
    assert held.lanes.large(lambda: "again", account="eve") == "again"
    assert held.lanes.asking == {}


def test_who_fails_makes_room_again() -> None:
    lanes = Lanes()
    for _ in range(MOST_LARGE + 1):
        with pytest.raises(ZeroDivisionError):
            lanes.large(lambda: 1 // 0, account="eve")
    lanes.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority of one thread")
def test_large_ones_give_way(held: Held) -> None:
    def nice() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    assert held.lanes.large(nice, account="eve") > held.lanes.small(nice) == nice()


@contextmanager
def counted(pictures: Pictures, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Note in which lane each picture was looked at."""
    lanes: list[str] = []
    for name in ("small", "large"):
        run = getattr(pictures.lanes, name)

        def noted(
            work: Callable[[], object],
            name: str = name,
            run: Callable[..., object] = run,
            **who: str,
        ) -> object:
            lanes.append(name)
            return run(work, **who)

        monkeypatch.setattr(pictures.lanes, name, noted)
    yield lanes
    pictures.close()


def test_a_picture_is_large_by_its_file_its_header_or_its_frames(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = int(SMALL_PIXELS**0.5)
    fits, larger = (
        encode_png(torch.full((1, side + more, side), 9, dtype=torch.uint8)) for more in (0, 9)
    )
    pictures = Pictures(world.backbone, ImageLimits())
    with counted(pictures, monkeypatch) as lanes:
        for content in (world.png(0, 0), fits, larger):
            pictures(content)
        monkeypatch.setattr(extract, "SMALL_BYTES", 10)
        pictures(world.png(0, 0))
    assert lanes == ["small", "small", "large", "large"]


def test_a_large_picture_is_the_same_to_the_service_and_the_command(world: World) -> None:
    """`filter check` sees by `decode_views` alone; 17 million pixels are judged at half size."""
    picture = (torch.arange(4_300)[:, None] * torch.arange(4_000) // 40_000 % 256).byte()[None]
    content = encode_png(picture)
    pictures = Pictures(world.backbone, ImageLimits())
    mine = see(world.backbone, decode_views(content), hashes=False)
    (view,) = decode_views(content)
    assert view.picture.shape == (1, 2_150, 2_000)
    assert torch.equal(pictures(content).features, mine.features)
    whole = world.backbone(picture[None])
    assert torch.allclose(mine.features, whole, atol=2 / 255)
    pictures.close()
