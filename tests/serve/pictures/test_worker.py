"""Processes that are stopped, lie, are cut short or do not start: nobody waits for ever."""

from __future__ import annotations

import math
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import Any
from unittest import mock

import psutil
import pytest

from sfumato.data.decoding.decode import ImageLimits
from sfumato.errors import ImageError, RequestError, ServiceError
from sfumato.serve.pictures import pictureprocess, processes, worker
from sfumato.serve.pictures.extract import Found, Seen
from sfumato.serve.pictures.looking import EndedError
from sfumato.serve.pictures.processes import Processes
from sfumato.serve.pictures.watch import Watch
from tests.serve import probing
from tests.serve.conftest import Start, bearer
from tests.serve.world import World
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")


def opened(world: World) -> Processes:
    made = Processes(world.backbone, world.backbone.to_bytes(), ImageLimits(), 1)
    made.wait()
    return made


@pytest.fixture(scope="module")
def probed(world: World) -> Iterator[Processes]:
    with mock.patch.object(pictureprocess, "main", probing.main):
        made = opened(world)
        yield made
        made.close()


@contextmanager
def hurried() -> Iterator[None]:
    """Let a picture take half a second: who sends a sound one meanwhile may be too slow."""
    with mock.patch.object(worker, "PATIENCE", 0.5 / pictureprocess.SMALL_SECONDS):
        yield


SILENT = ("answer by half", "wait for ever")
LIES = ("answer twice", "answer for another", *SILENT)


@pytest.mark.parametrize("name", LIES)
def test_who_lies_or_says_nothing_costs_its_own_picture_alone(
    probed: Processes, world: World, name: str
) -> None:
    group = [world.png(0, 0), probing.MARK + name.encode(), world.png(1, 0), world.png(2, 0)]
    found = iter(probed.small(group, hashes=False))
    assert isinstance(next(found), Seen)
    with hurried() if name in SILENT else nullcontext():
        own = next(found)
    others = list(found)
    if name == "answer twice":  # the second answer is not the next picture's
        assert str(own) == "one"
        assert isinstance(others.pop(0), EndedError)
    else:
        assert isinstance(own, EndedError)
    assert all(isinstance(one, Seen) for one in others)
    (again,) = probed.small([world.png(3, 0)], hashes=False)
    assert isinstance(again, Seen)


@pytest.mark.parametrize("size", [10, 16 << 20])
def test_a_stopped_process_is_ended_by_the_clock(
    probed: Processes, world: World, size: int
) -> None:
    """Also where it takes no byte, so that whoever sends the file waits."""
    process = probed.workers[0].process
    assert process is not None
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    found = iter(probed.small([bytes(size), world.png(0, 0)], hashes=False))
    with hurried():
        assert isinstance(next(found), EndedError)
    (sound,) = found
    assert isinstance(sound, Seen)
    assert probed.workers[0].due == math.inf


def test_nothing_that_waits_is_ended_by_the_clock() -> None:
    class Idle:
        due, killed = math.inf, 0

        def kill(self) -> None:
            self.killed += 1

    idle, late = Idle(), Idle()
    watch = Watch([idle, late])
    watch.end_all(-1.0)
    late.due = time.monotonic() + 1_000
    wait_until(lambda: late.killed > 0)
    watch.close()
    assert idle.killed == 0


@pytest.mark.skipif(sys.platform != "linux", reason="counted in /proc")
@pytest.mark.parametrize("deaths", [10, pytest.param(1_000, marks=pytest.mark.slow)])
def test_deaths_leave_no_descriptor_open(probed: Processes, world: World, deaths: int) -> None:
    own, server = psutil.Process(), parent_of(probed)

    def die() -> None:
        process = probed.workers[0].process
        assert process is not None
        process.kill()
        found = list(probed.small([world.png(0, 0)], hashes=False))
        assert isinstance(found[0], Seen | EndedError)

    for _ in range(3):
        die()
    before = own.num_fds(), server.num_fds()
    for _ in range(deaths):
        die()
    wait_until(lambda: server.num_fds() <= before[1])
    wait_until(lambda: own.num_fds() <= before[0] + 1)
    assert len(multiprocessing.active_children()) < 10


def parent_of(probed: Processes) -> psutil.Process:
    process = probed.workers[0].process
    assert process is not None
    found = psutil.Process(process.pid).parent()
    assert found is not None
    return found


def test_the_end_does_not_wait_for_who_is_busy(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictureprocess, "main", probing.main)
    monkeypatch.setattr(processes, "_END_SECONDS", 0.5)
    monkeypatch.setattr(pictureprocess, "SMALL_SECONDS", 100 * PATIENCE)  # what else would end it
    client, service = start(workers=1)
    assert client.get("/readyz").status_code == 200
    looking = service.uploads.asking.looking
    assert isinstance(looking, Processes)
    every = [one.process for one in (*looking.workers, *looking.large_workers)]
    left = [psutil.Process(one.pid) for one in every if one is not None]
    assert len(left) == 2
    account = service.tokens.account(bearer(service, "eve")["Authorization"])
    sent = [service.ask(account, probing.MARK + b"wait for ever") for _ in range(3)]
    sent.append(service.ask(account, world.png(8, 0)))
    wait_until(sent[0].running)
    began = time.monotonic()
    service.close()
    assert time.monotonic() - began < PATIENCE
    kinds = ServiceError | ImageError | RequestError
    assert [one for one in sent if not isinstance(one.exception(0), kinds)] == []
    assert psutil.wait_procs(left, timeout=PATIENCE)[1] == []


_PARENT = """
import os, signal
from sfumato.data.decoding.decode import ImageLimits
from sfumato.features.backbone import open_backbone
from sfumato.serve.pictures.processes import Processes

if __name__ == "__main__":
    backbone = open_backbone("raw:1x8x8")
    made = Processes(backbone, backbone.to_bytes(), ImageLimits(), 2)
    made.wait()
    pids = [one.process.pid for one in (*made.workers, *made.large_workers)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    print(*pids, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere stopped processes stay")
def test_stopped_processes_end_with_a_killed_service(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(_PARENT)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, stdout=subprocess.PIPE, check=False
    )
    assert done.returncode == -signal.SIGKILL
    pids = list(map(int, done.stdout.split()))
    assert len(pids) == 3
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in pids))


class Told(worker.Worker):
    """Notes how long each of its processes has to start, when that is seen by others."""

    def __init__(self, *arguments: Any) -> None:
        self.allowed: list[float] = []
        super().__init__(*arguments)

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "process" and value is not None:
            self.allowed.append(self.due - time.monotonic())


def failing(pipe: Connection, _: pictureprocess.Task) -> None:
    """Take a backbone, and end as where a library is missing."""
    pipe.recv_bytes()
    pipe.send_bytes(pictureprocess.FAILED + b"no such library")


def test_a_start_that_fails_says_why_and_ends(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictureprocess, "main", failing)
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(ServiceError, match=r"did not start: no such library$"):
        start(workers=1)
    wait_until(lambda: not any(map(runs, set(psutil.Process().children(recursive=True)) - before)))


def runs(process: psutil.Process) -> bool:
    """Whether it is a child of the fork server, not that or the tracker of resources, and runs."""
    try:
        parent = process.parent()
        worker = parent is not None and "forkserver" in " ".join(parent.cmdline())
        return worker and process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it ended meanwhile
        return False


@pytest.mark.slow
def test_without_a_fork_server_each_starts_from_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    assert isinstance(worker.context(), SpawnContext)
    made = opened(world)
    (found,) = made.small([world.png(0, 0)], hashes=False)
    made.close()
    assert isinstance(found, Seen)


def test_who_is_stopped_while_it_starts_is_ended_by_the_clock(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "stop"
    monkeypatch.setattr(pictureprocess, "main", partial(probing.stops_once, marker))
    monkeypatch.setattr(worker, "LEAST_START_SECONDS", 2.0)
    monkeypatch.setattr(processes, "Worker", Told)
    began = time.monotonic()
    made = opened(world)
    took = time.monotonic() - began
    one = made.workers[0]
    assert isinstance(one, Told)
    marker.touch()
    assert one.process is not None
    one.process.kill()
    wait_until(lambda: not one.alive)

    def asked() -> Found:
        return next(iter(made.small([world.png(0, 0)], hashes=False)))

    assert isinstance(asked(), ServiceError), "the process that should have had it was stopped"
    assert not marker.exists()
    assert 0 < one.allowed[1] <= max(2.0, worker.START_PATIENCE * took)
    # Each next one may take twice as long to start, until it does.
    wait_until(lambda: isinstance(asked(), Seen))
    made.close()


def test_no_process_is_seen_before_its_own_clock(world: World) -> None:
    """Another thread kills whoever is there when the clock of the one before has run out."""
    task = pictureprocess.Task(ImageLimits(), gives_way=False, one=False)
    one = Told(worker.context(), world.backbone.to_bytes(), world.backbone.dim, task)
    one.due = 0.0
    one.revive()
    one.end()
    assert len(one.allowed) == 1
    assert 0 < one.allowed[0] < math.inf


@pytest.mark.parametrize("signals", [20, pytest.param(500, marks=pytest.mark.slow)])
def test_whoever_is_killed_or_stopped_under_load_every_upload_is_answered(
    start: Start, world: World, signals: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LEAST_START_SECONDS", 2.0)
    client, service = start(workers=2)
    looking = service.uploads.asking.looking
    assert isinstance(looking, Processes)
    account = service.tokens.account(bearer(service, "ada")["Authorization"])
    contents = [world.png(digit, 2) for digit in range(10)]
    draw, over = random.Random(0), threading.Event()
    found: list[BaseException | str] = []

    def upload(number: int) -> None:
        while not over.is_set():
            asked = service.uploads.ask(account, contents[number])
            error = asked.exception(PATIENCE)
            found.append(asked.result().decision if error is None else error)

    with hurried(), ThreadPoolExecutor(10) as pool:
        running = [pool.submit(upload, number) for number in range(10)]
        for _ in range(signals):
            victim = draw.choice([*looking.workers, *looking.large_workers])
            process = victim.process
            if process is not None and process.pid is not None:
                with suppress(ProcessLookupError, ValueError):
                    os.kill(process.pid, draw.choice([signal.SIGKILL, signal.SIGSTOP]))
            time.sleep(draw.uniform(0, 0.1))
        over.set()
        for each in running:
            each.result(PATIENCE)
    assert len(found) >= 10
    refused = [one for one in found if isinstance(one, BaseException)]
    assert all(isinstance(one, ImageError | ServiceError | RequestError) for one in refused)
    headers = bearer(service, "eve")

    def decided(content: bytes) -> bool:
        return client.post("/v1/uploads", content=content, headers=headers).is_success

    for one in (*looking.workers, *looking.large_workers):
        one.kill()  # who was stopped last would now have minutes
    for content in contents:  # a busy machine may be too slow for a start once
        wait_until(partial(decided, content))
    wait_until(lambda: client.get("/readyz").status_code == 200)
