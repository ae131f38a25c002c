"""Tiles on threads: all of them run, errors come out, and torch's own setting is untouched."""

from __future__ import annotations

import os
import threading

import pytest
import torch

from sfumato.filter.bank.workers import run_all


@pytest.fixture
def two_threads() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_every_task_runs_once_on_a_thread_that_computes_alone() -> None:
    done: list[int] = []
    inside: list[int] = []
    lock = threading.Lock()

    def task(number: int) -> None:
        with lock:
            done.append(number)
            inside.append(torch.get_num_threads())

    ends: list[str] = []
    run_all(
        (lambda i=i: task(i) for i in range(50)),
        lambda: ends.append(threading.current_thread().name),
    )
    assert len(ends) == 2
    assert sorted(done) == list(range(50))
    assert set(inside) == {1}
    assert torch.get_num_threads() == 2
    fresh: list[int] = []
    thread = threading.Thread(target=lambda: fresh.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert fresh == [2]


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_comes_out(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)

    ends: list[int] = []

    def fail() -> None:
        raise ValueError("broken tile")

    with pytest.raises(ValueError, match="broken tile"):
        run_all([fail], lambda: ends.append(1))
    assert len(ends) == threads


@pytest.mark.usefixtures("two_threads")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_makes_its_own_threads() -> None:
    run_all([lambda: None], lambda: None)
    child = os.fork()
    if child == 0:
        ran: list[int] = []
        run_all([lambda: ran.append(1)], lambda: None)
        os._exit(0 if ran == [1] else 1)
    assert os.waitpid(child, 0)[1] == 0
