from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
import torch

from papers.workers import do_ahead


class Parts:
    """Keeps, for every part, who made it and with how many threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def part(self, name: str, needs: str = "") -> None:
        if needs:
            assert (self.folder / needs).is_file(), "an earlier phase is over"
        (self.folder / name).write_text(f"{os.getpid()} {torch.get_num_threads()}")

    def fail(self, why: str) -> None:
        raise ValueError(why)


def test_phases_follow_each_other_in_processes_of_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    make = partial(Parts, tmp_path)
    do_ahead(make, [[("part", "a"), ("part", "b")], [("part", "c", "a"), ("part", "d", "b")]])
    made = [path.read_text().split() for path in tmp_path.iterdir()]
    assert len(made) == 4
    assert {threads for _, threads in made} == {"1"}
    assert str(os.getpid()) not in {process for process, _ in made}
    with pytest.raises(ValueError, match="no such luck"):
        do_ahead(make, [[("fail", "no such luck")], [("part", "e")]])
    assert not (tmp_path / "e").exists()


def test_one_thread_leaves_the_parts_to_who_needs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    do_ahead(partial(Parts, tmp_path), [[("part", "a")]])
    assert not list(tmp_path.iterdir())
