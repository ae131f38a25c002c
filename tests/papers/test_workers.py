from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
import torch

from papers.workers import do_ahead, processes_on
from sfumato.errors import ConfigError, SfumatoError


class Parts:
    """Keeps, for every part, who made it and with how many threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def part(self, name: str, needs: str = "") -> None:
        if needs:
            assert (self.folder / needs).is_file(), "what it needs is done"
        threads = {str(torch.get_num_threads()), os.environ["OMP_NUM_THREADS"]}
        (self.folder / name).write_text(f"{os.getpid()} {' '.join(threads)}")

    def fail(self, why: str) -> None:
        raise ValueError(why)

    def refuse(self, why: str) -> None:
        raise ConfigError(why)

    def die(self) -> None:
        os._exit(9)


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)


def test_parts_wait_for_what_they_need_in_processes_of_one_thread(tmp_path: Path) -> None:
    first = [("part", "a"), ("part", "b")]
    needs = {("part", "c", "a"): first[:1], ("part", "d", "b"): first[1:]}
    do_ahead(partial(Parts, tmp_path), needs | dict.fromkeys(first, ()), device="cpu")
    made = [path.read_text().split() for path in tmp_path.iterdir()]
    assert len(made) == 4
    assert {threads for _, *all_threads in made for threads in all_threads} == {"1"}
    processes = {process for process, *_ in made}
    assert len(processes) == 2
    assert str(os.getpid()) not in processes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("job", "said"),
    [
        (("fail", "no such luck"), r"part 'fail no such luck' .*ValueError\('no such luck'\)"),
        (("refuse", "give it less"), "part 'refuse give it less' .*failed: give it less; when"),
        (("die",), "the part 'die' .*exit code 9"),
    ],
)
def test_a_part_that_fails_ends_the_recipe_and_is_named(
    tmp_path: Path, job: tuple[str, ...], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SfumatoError, match=said):
        do_ahead(
            partial(Parts, tmp_path),
            {("part", "kept"): (), job: (("part", "kept"),), ("part", "e"): (job,)},
            device="cpu",
        )
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    if job[0] == "fail":
        assert "raise ValueError(why)" in capfd.readouterr().err


def test_one_thread_leaves_the_parts_to_who_needs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    do_ahead(partial(Parts, tmp_path), {("part", "a"): (), ("part", "b"): ()}, device="cpu")
    assert not list(tmp_path.iterdir())


def test_a_process_a_core_shares_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("papers.workers.resolve_device", lambda _: torch.device("cuda"))
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    assert processes_on("cuda") == 16
