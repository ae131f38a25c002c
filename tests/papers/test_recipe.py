"""A recipe that was interrupted goes on from its parts, and its results count all of its starts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from papers import clock
from papers.recipe import Results, Run, execute
from papers.stages import Stage, Stages
from tests.waiting import wait_until


class Study:
    """Two parts of 100 seconds each; the first start is killed 40 seconds into the second."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.kills, self.made = 0.0, True, list[str]()
        monkeypatch.setattr(clock.time, "perf_counter", lambda: self.now)

    def __call__(self, run: Run, settings: Mapping[str, Any]) -> Results:
        stages = Stages.of(run, settings)
        return {"parts": [stages.keep(name, self.part(name))[0] for name in ("first", "second")]}

    def part(self, name: str) -> Any:
        def make(_: Path) -> Stage:
            self.now += 40
            if name == "second" and self.kills:
                raise KeyboardInterrupt
            self.now += 60
            self.made.append(name)
            return {"name": name}, {}

        return make


def start(folder: Path, *, seed: int = 0) -> Run:
    return Run(
        slug="docl",
        recipe="leak",
        quick=True,
        seed=seed,
        device="cpu",
        data_dir=None,
        out=folder,
    )


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> Study:
    return Study(monkeypatch)


def test_seconds_are_those_of_all_starts(tmp_path: Path, study: Study) -> None:
    with pytest.raises(KeyboardInterrupt):
        execute(start(tmp_path), study)
    study.kills, study.now = False, study.now + 1e6  # nobody counts the time in between
    path, results = execute(start(tmp_path), study)
    assert study.made == ["first", "second"]
    assert results["seconds"] == json.loads(path.read_text())["seconds"] == 100 + 40 + 100
    assert not list(tmp_path.glob("stages/*")), "parts are thrown away with the results written"


def test_what_kept_nothing_is_not_counted(tmp_path: Path, study: Study) -> None:
    with pytest.raises(KeyboardInterrupt):
        execute(start(tmp_path, seed=1), study)
    study.kills = False
    path, results = execute(start(tmp_path, seed=0), study)
    assert results["seconds"] == 200, "another seed's parts are not gone on from"
    assert path.name == "leak-quick.json"
    again, _ = execute(start(tmp_path, seed=1), study)
    assert again.name == "leak-quick-seed1.json", "one seed's results do not replace another's"


def test_a_start_writes_its_seconds_while_it_works(tmp_path: Path, study: Study) -> None:
    """A process that is killed outright has no last word."""
    run = start(tmp_path)
    folder = run.keeps(tmp_path / "stages" / "one")
    with clock.Clock(run.parts, every=0.01):
        study.now = 77
        folder.mkdir(parents=True)
        wait_until(lambda: clock.seconds_before(folder) == 77)
