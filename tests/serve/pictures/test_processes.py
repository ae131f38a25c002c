"""Processes give what this process would, and one that ends costs nobody else anything."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import pytest
import torch
from PIL import Image

from sfumato.data.decoding.decode import ImageLimits, decode_image, encode_png
from sfumato.errors import ImageError, ServiceError
from sfumato.features.backbone import Backbone
from sfumato.features.picture import all_features_of
from sfumato.filter.neardup import available
from sfumato.serve.pictures import pictureprocess
from sfumato.serve.pictures import worker as worker_module
from sfumato.serve.pictures.extract import Found, Pictures, Seen
from sfumato.serve.pictures.lanes import SMALL_PIXELS
from sfumato.serve.pictures.looking import EndedError
from sfumato.serve.pictures.processes import Processes
from sfumato.serve.pictures.seenbytes import pack_question
from tests.serve import poison
from tests.serve.world import World
from tests.waiting import PATIENCE

LIMITS = ImageLimits()


def opened(backbone: Backbone) -> Processes:
    made = Processes(backbone, backbone.to_bytes(), LIMITS, 1)
    made.wait()
    return made


@pytest.fixture(scope="module")
def processes(world: World) -> Iterator[Processes]:
    made = opened(world.backbone)
    yield made
    made.close()


def drawn(seed: int) -> bytes:
    draw = torch.Generator().manual_seed(seed)
    image = torch.randint(0, 256, (3, 40, 50), generator=draw, dtype=torch.uint8)
    return encode_png(image)


def test_features_are_those_of_one_picture_at_a_time_to_the_bit(
    processes: Processes, world: World
) -> None:
    contents = [*(world.png(0, index) for index in range(12)), drawn(0), drawn(1)]
    found = list(processes.small(contents, hashes=False))
    for content, one in zip(contents, found, strict=True):
        assert isinstance(one, Seen)
        assert torch.equal(one.features, all_features_of(world.backbone, decode_image(content)))
        assert [len(hashes) for hashes in one.hashes] == [0]


@pytest.mark.skipif(not available(), reason="pdqhash is not installed")
def test_hashes_and_frames_are_those_of_this_process(processes: Processes, world: World) -> None:
    frames = [Image.open(BytesIO(drawn(seed))) for seed in range(3)]
    buffer = BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    here = Pictures(world.backbone, LIMITS).all(buffer.getvalue(), hashes=True)
    there = processes.all(buffer.getvalue(), hashes=True)
    assert (there.frames, there.pictures) == (here.frames, here.pictures)
    assert len(there.frames) == 3
    assert torch.equal(there.features, here.features)
    assert all(torch.equal(a, b) for a, b in zip(there.hashes, here.hashes, strict=True))
    assert len(there.hashes[0]) > 0


def test_large_ones_are_left_out_and_errors_are_the_decoders(
    processes: Processes, world: World
) -> None:
    side = int(SMALL_PIXELS**0.5) + 9
    wide = encode_png(torch.zeros(1, side, side, dtype=torch.uint8))
    large, broken, sound = processes.small([wide, b"no picture", world.png(0, 0)], hashes=False)
    assert large is None
    assert isinstance(broken, ImageError)
    assert isinstance(sound, Seen)
    assert processes.all(wide, hashes=False).frames == (0,)
    with pytest.raises(ImageError, match="expected a picture"):
        processes.all(b"no picture", hashes=False)


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_process_that_is_killed_in_the_middle_is_replaced(
    processes: Processes, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (worker,) = processes.workers
    assert worker.process is not None
    killed = worker.process.pid
    assert killed is not None
    os.kill(killed, signal.SIGSTOP)  # so that it has the pictures, and answers none
    contents, sent = [world.png(0, index) for index in range(5)], threading.Semaphore(0)

    def noted(number: bytes, content: bytes, *, large: bool, hashes: bool) -> bytes:
        sent.release()
        return pack_question(number, content, large=large, hashes=hashes)

    monkeypatch.setattr(worker_module, "pack_question", noted)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(lambda: list(processes.small(contents, hashes=False)))
        for _ in contents:
            sent.acquire()
        os.kill(killed, signal.SIGKILL)
        first, *others = asked.result(PATIENCE)
    assert isinstance(first, EndedError)
    assert all(isinstance(one, Seen) for one in others)
    assert worker.process.pid != killed
    processes.check()


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_only_the_file_that_ends_a_process_is_without_an_answer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictureprocess, "main", poison.main)
    processes = opened(world.backbone)
    sound, bad = world.png(0, 0), poison.MARK
    group = [sound, bad, sound, bad, sound]
    found: list[Found] = list(processes.small(group, hashes=False))
    assert [isinstance(one, EndedError) for one in found] == [content == bad for content in group]
    with pytest.raises(EndedError):
        processes.all(bad, hashes=False)
    assert isinstance(processes.all(sound, hashes=False), Seen)
    processes.close()
    with pytest.raises(ServiceError, match="no process"):
        processes.check()


def test_who_goes_away_in_the_middle_leaves_no_answer_for_the_next(
    processes: Processes, world: World
) -> None:
    contents = [world.png(digit, 0) for digit in range(3)]
    asked = processes.small(contents, hashes=False)
    next(asked)
    asked.close()  # type: ignore[attr-defined]  # it is a generator
    (found,) = processes.small([world.png(5, 0)], hashes=False)
    assert isinstance(found, Seen)
    assert torch.equal(found.features, world.backbone(world.images[5][0][None]))


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
def test_what_a_file_may_take_is_limited(processes: Processes) -> None:
    import psutil

    small, large = (
        psutil.Process(one.process.pid)  # type: ignore[union-attr]
        for one in (processes.workers[0], processes.large_workers[0])
    )
    list(processes.small([b"so that a limit is set"], hashes=False))
    assert large.nice() > small.nice()
    assert small.rlimit(psutil.RLIMIT_CORE)[0] == 0
    seconds = sum(small.cpu_times()[:2])
    assert seconds < small.rlimit(psutil.RLIMIT_CPU)[0] < seconds + 90
    assert small.rlimit(psutil.RLIMIT_DATA)[0] != psutil.RLIM_INFINITY


def test_a_process_that_does_not_start_is_an_error_and_no_hang(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Processes(world.backbone, b"no backbone", LIMITS, 1)
    with pytest.raises(ServiceError, match="did not start"):
        broken.wait()
    (found,) = broken.small([world.png(0, 0)], hashes=False)
    assert isinstance(found, ServiceError)
    broken.close()
