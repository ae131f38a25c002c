"""Large pictures wait apart from small ones, few of them, and of one account fewer still."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import torch

from sfumato.data.decoding.decode import ImageLimits, View, decode_views, encode_png
from sfumato.errors import RequestError
from sfumato.serve.pictures import extract
from sfumato.serve.pictures.extract import Pictures, Seen, see
from sfumato.serve.pictures.lanes import (
    MOST_LARGE,
    MOST_OF_ONE,
    SMALL_PIXELS,
    large_lane,
    small_pool,
)
from sfumato.serve.records.auth import add_account
from tests.serve.conftest import Start
from tests.serve.world import World
from tests.waiting import PATIENCE, wait_until


class Held:
    """A lane whose large pictures are looked at until `go` is set."""

    def __init__(self) -> None:
        self.lane = large_lane()
        self.go = threading.Event()
        self.sent: list[Future[str]] = []

    def large(self, account: str | None) -> None:
        def work() -> str:
            self.go.wait(PATIENCE)
            return str(account)

        self.sent.append(self.lane.submit(account, work))

    def refused(self, account: str | None) -> RequestError:
        with pytest.raises(RequestError) as caught:
            self.lane.submit(account, lambda: "")
        return caught.value


@pytest.fixture
def held() -> Iterator[Held]:
    made = Held()
    yield made
    made.go.set()
    made.lane.close()


def test_few_large_ones_wait_and_of_one_account_fewer(held: Held) -> None:
    for _ in range(MOST_OF_ONE):
        held.large("eve")
    assert held.lane.taken["eve"] == MOST_OF_ONE
    assert held.refused("eve").status == 429
    nobody = MOST_OF_ONE + 1  # a gateway names none
    for _ in range(nobody):
        held.large(None)
    for number in range(MOST_LARGE - MOST_OF_ONE - nobody):
        held.large(str(number))
    assert held.lane.taken.total() == MOST_LARGE
    assert held.refused("ada").status == held.refused(None).status == 503
    held.go.set()
    assert {future.result(PATIENCE) for future in held.sent} >= {"eve", "0"}
    assert held.lane.submit("eve", lambda: "again").result(PATIENCE) == "again"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority of one thread")
def test_large_ones_give_way_and_each_thread_computes_on_one_core(held: Held) -> None:
    def here() -> tuple[int, int]:
        own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        return own, torch.get_num_threads()

    threads = torch.get_num_threads()
    pool = small_pool()
    small, large = (
        pool.submit(here).result(PATIENCE),
        held.lane.submit("eve", here).result(PATIENCE),
    )
    assert large[0] > small[0]
    assert small[1] == large[1] == 1
    assert torch.get_num_threads() == threads
    pool.shutdown()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority of one thread")
def test_large_ones_give_way_in_a_process_that_gives_way_itself() -> None:
    def niced() -> int:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 15)
        lane = large_lane()  # its threads inherit the priority of who starts them
        found = lane.submit(
            "eve", lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        ).result(PATIENCE)
        lane.close()
        return found

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(niced).result(PATIENCE) == 19


def test_a_picture_is_large_by_its_file_its_header_or_its_frames(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = int(SMALL_PIXELS**0.5)
    fits, larger = (
        encode_png(torch.full((1, side + more, side), 9, dtype=torch.uint8)) for more in (0, 9)
    )
    pictures = Pictures(world.backbone, ImageLimits())
    for content, small in ((world.png(0, 0), True), (fits, True), (larger, False)):
        assert (pictures.small(content, hashes=False) is not None) == small
    monkeypatch.setattr(extract, "SMALL_BYTES", 10)
    assert pictures.small(world.png(0, 0), hashes=False) is None


def test_a_small_picture_waits_for_no_large_one(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = start()[1]
    gateway, _ = add_account(service.store.engine, "gateway", role="uploader")
    monkeypatch.setattr(
        extract, "SMALL_BYTES", len(max((world.png(8, n) for n in range(9)), key=len))
    )
    see, go = service.uploads.asking.looking.pictures.see, threading.Event()

    def slow(views: Iterator[View], *, hashes: bool) -> Seen:
        if threading.current_thread().name.startswith("sfumato-large"):
            go.wait(PATIENCE)
        return see(views, hashes=hashes)

    monkeypatch.setattr(service.uploads.asking.looking.pictures, "see", slow)
    wide = encode_png((torch.arange(90_000) * 7919 % 251).byte().view(1, 300, 300))
    large = [service.ask(gateway, wide) for _ in range(MOST_LARGE)]
    wait_until(lambda: service.uploads.asking.large.taken.total() == MOST_LARGE)
    small = [service.ask(gateway, world.png(8, n)).result(PATIENCE) for n in range(9)]
    assert [answer.decision for answer in small] == ["share"] * 9
    assert not any(one.done() for one in large)
    assert isinstance(service.ask(gateway, wide).exception(PATIENCE), RequestError)
    go.set()
    assert {one.result(PATIENCE).decision for one in large} == {"share"}
    wait_until(lambda: not service.uploads.asking.large.taken)  # a moment after the answer


def test_a_large_picture_is_the_same_to_the_service_and_the_command(world: World) -> None:
    """`filter check` sees by `decode_views` alone; 17 million pixels are judged at half size."""
    picture = (torch.arange(4_300)[:, None] * torch.arange(4_000) // 40_000 % 256).byte()[None]
    content = encode_png(picture)
    pictures = Pictures(world.backbone, ImageLimits())
    mine = see(world.backbone, decode_views(content), hashes=False)
    (view,) = decode_views(content)
    assert view.picture.shape == (1, 2_150, 2_000)
    assert torch.equal(pictures.all(content, hashes=False).features, mine.features)
    whole = world.backbone(picture[None])
    assert torch.allclose(mine.features, whole, atol=2 / 255)
