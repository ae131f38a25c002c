"""Change the code by one place at a time, and see whether a test notices: `make mutants`.

Cosmic Ray makes the mutants; this file chooses a random sample of places, gives each module its own
tests, and prints a score. A mutant lives in a copy of the last commit, never in the working tree.
Its tests run in a fork of this process, which has imported what takes long and does not change.
Stopped, it goes on where it was: a session is told by commit, seed and size.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import fnmatch
import importlib
import io
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[1]
# Behind the project's own packages, of which Cosmic Ray must not choose the versions.
sys.path.append(str(ROOT / ".tools" / "cosmic-ray"))

from cosmic_ray.commands.init import init  # noqa: E402
from cosmic_ray.mutating import use_mutation  # noqa: E402
from cosmic_ray.plugins import get_operator  # noqa: E402
from cosmic_ray.work_db import WorkDB, use_db  # noqa: E402
from cosmic_ray.work_item import (  # noqa: E402
    MutationSpec,
    TestOutcome,
    WorkerOutcome,
    WorkItem,
    WorkResult,
)

PLACE = ROOT / ".tools" / "mutants"
TREE = PLACE / "tree"
PACKAGE = Path("src/sfumato")
HEAVY = (
    "fastapi.testclient", "hypothesis", "plotly.graph_objects", "PIL.Image", "pyarrow.ipc",
    "scipy.stats", "sklearn.decomposition", "sklearn.discriminant_analysis", "sklearn.ensemble",
    "sqlalchemy.orm", "torch.fx", "torchmetrics.functional.image", "torchvision", "typer",
)  # fmt: skip
"""Imported once: most of the time that a mutant's tests would take to start."""
EARLY = ("-W", "ignore::pytest.PytestAssertRewriteWarning")  # of plugins that are among these
SKIPPED = WorkResult(WorkerOutcome.SKIPPED)


@dataclass(frozen=True)
class Settings:
    """What is changed, by which tests, and which mutants change nothing."""

    modules: Sequence[str]
    tests: dict[str, Sequence[str]]
    equivalent: Sequence[dict[str, str]]

    @classmethod
    def read(cls) -> Settings:
        """Return what `mutants.toml` beside this file says."""
        document = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
        return cls(document["modules"], document["tests"], document.get("equivalent", []))

    def check(self) -> None:
        """Raise SystemExit unless all tests are there, of every module: before hours of work."""
        named = {Path("tests") / test for tests in self.tests.values() for test in tests}
        gone = sorted(str(path) for path in named if not path.exists())
        if gone:
            raise SystemExit(f"tools/mutants.toml names tests that are gone: {', '.join(gone)}")
        for path in self.paths():
            self.arguments(path)

    def paths(self) -> list[Path]:
        """Return the modules there are, each once."""
        found = {path for pattern in self.modules for path in PACKAGE.glob(pattern)}
        return sorted(path for path in found if path.name != "__init__.py")

    def arguments(self, module: Path) -> list[str]:
        """Return what pytest is told to run a module's tests."""
        name = module.relative_to(PACKAGE)
        own = Path("tests") / name.parent / f"test_{name.name}"
        others = [
            Path("tests") / test
            for pattern, tests in self.tests.items()
            if fnmatch.fnmatch(str(name), pattern)
            for test in tests
        ]
        tests = [str(path) for path in dict.fromkeys([own, *others])]
        if not own.exists():
            tests.remove(str(own))
        if not tests:
            raise SystemExit(f"{name} has no tests: name some in tools/mutants.toml")
        # One database is enough here: a second one doubles the time and finds nothing else.
        options = ["-x", "-q", "-p", "no:cacheprovider", "-k", "not postgresql", *EARLY]
        return [*options, *tests]

    def is_equivalent(self, module: str, diff: str | None) -> bool:
        """Return whether somebody wrote down that this mutant changes nothing."""
        old, new = changed(diff)
        return any((e["module"], e["old"], e["new"]) == (module, old, new) for e in self.equivalent)


def changed(diff: str | None) -> tuple[str, str]:
    """Return the line that a mutant changes, before and after."""
    lines = (diff or "").splitlines()
    old = [line[1:].strip() for line in lines if line.startswith("-") and line[1:2] != "-"]
    new = [line[1:].strip() for line in lines if line.startswith("+") and line[1:2] != "+"]
    return " ".join(old), " ".join(new)


def annotations(path: Path) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return where types and decorators are written.

    A change there changes what is checked, or how a class is stored, and seldom what is done.
    """
    found: list[ast.expr | None] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.arg | ast.AnnAssign):
            found.append(node.annotation)
        elif isinstance(node, ast.FunctionDef):
            found.append(node.returns)
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.extend(node.decorator_list)
    return [
        ((n.lineno, n.col_offset), (n.end_lineno or 0, n.end_col_offset or 0))
        for n in found
        if n is not None
    ]


def sampled(items: Sequence[WorkItem], count: int, seed: int) -> set[str]:
    """Return the jobs of a sample: places first, so that one of many variants counts once."""
    types = {path: annotations(path) for path in {i.mutations[0].module_path for i in items}}
    places: dict[tuple[str, tuple[int, int]], list[WorkItem]] = {}
    for item in items:
        spec = item.mutations[0]
        if not any(start <= spec.start_pos < end for start, end in types[spec.module_path]):
            places.setdefault((str(spec.module_path), spec.start_pos), []).append(item)

    def name(item: WorkItem) -> tuple[str, str, int]:
        spec = item.mutations[0]
        return spec.operator_name, str(spec.operator_args), spec.occurrence

    draw = random.Random(seed)
    chosen = draw.sample(sorted(places), min(count, len(places)))
    return {draw.choice(sorted(places[place], key=name)).job_id for place in chosen}


def unpack(commit: str) -> None:
    """Copy a commit's files to where mutants live; what a stopped run left there is replaced."""
    TREE.mkdir(parents=True, exist_ok=True)
    content = subprocess.check_output(["git", "archive", commit], cwd=ROOT)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(TREE, filter="data")


def begin(db: WorkDB, settings: Settings, count: int, seed: int) -> None:
    """Fill a new session: every mutant of the sample waits, and all others are skipped."""
    if db.num_work_items:
        return
    init(settings.paths(), db, {})
    chosen = sampled(list(db.work_items), count, seed)
    db.set_multiple_results([i.job_id for i in db.work_items if i.job_id not in chosen], SKIPPED)


def run(db: WorkDB, settings: Settings, sound: Sound, timeout: float, only: str) -> None:
    """Try every mutant that waits, and keep each result at once.

    They come in random order, so that what a stopped run has tried is a sample as well.
    """
    waiting = [i for i in db.pending_work_items if fnmatch.fnmatch(name_of(i.mutations[0]), only)]
    random.shuffle(waiting)
    for number, item in enumerate(waiting, 1):
        spec = item.mutations[0]
        arguments = settings.arguments(spec.module_path)
        result = tried(spec, arguments, timeout)
        if result.test_outcome == TestOutcome.KILLED:
            without = sound.holds(name_of(spec), lambda asked=arguments: passes(asked, timeout))
            if not without:
                print(f"{name_of(spec)} waits: its tests fail, or are too slow, without any mutant")
                continue
        db.set_result(item.job_id, result)
        outcome = result.test_outcome.value if result.test_outcome else "no mutant"
        print(f"{number}/{len(waiting)} {name_of(spec)}:{spec.start_pos[0]} {outcome}", flush=True)


@dataclass(frozen=True)
class Sound:
    """Modules whose tests pass without a mutant; else every mutant would count as killed."""

    file: Path

    def holds(self, module: str, passes: Callable[[], bool]) -> bool:
        """Return whether a module's tests pass as they are; they are run once a session."""
        known = self.file.read_text().split() if self.file.exists() else []
        if module not in known:
            if not passes():
                return False
            self.file.write_text("\n".join([*known, module]))
        return True


def tried(spec: MutationSpec, arguments: Sequence[str], timeout: float) -> WorkResult:
    """Return what its tests say of one mutant; the module is as it was afterwards."""
    operator = get_operator(spec.operator_name)(**spec.operator_args)
    with ExitStack() as undo:
        mutation = use_mutation(spec.module_path, operator, spec.occurrence)
        try:
            before, after = undo.enter_context(mutation)
        except AttributeError:  # Cosmic Ray cannot replace an exception whose name has a dot
            return WorkResult(WorkerOutcome.NO_TEST)
        if after is None:
            return WorkResult(WorkerOutcome.NO_TEST)
        passed = passes(arguments, timeout)
    diff = "\n".join(
        difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    )
    outcome = TestOutcome.SURVIVED if passed else TestOutcome.KILLED
    return WorkResult(WorkerOutcome.NORMAL, test_outcome=outcome, diff=diff)


def passes(arguments: Sequence[str], timeout: float) -> bool:
    """Run tests in a fork; no answer in time is a failure."""
    child = os.fork()
    if child == 0:
        os.setsid()
        quiet = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(quiet, stream)
        os._exit(int(pytest.main(list(arguments))))
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def name_of(spec: MutationSpec) -> str:
    """Return a module's path inside the package."""
    return str(spec.module_path.relative_to(PACKAGE))


def results(db: WorkDB) -> Iterator[tuple[MutationSpec, WorkResult]]:
    """Yield each mutant that was tried, with what came of it."""
    specs: dict[str, MutationSpec] = {item.job_id: item.mutations[0] for item in db.work_items}
    for job, result in db.results:
        if result.worker_outcome == WorkerOutcome.NORMAL:
            yield specs[job], result


def report(db: WorkDB, settings: Settings) -> None:
    """Print survivors, then killed and tried mutants of each module, without equivalent ones."""
    tried: Counter[str] = Counter()
    killed: Counter[str] = Counter()
    equivalent = 0
    for spec, result in sorted(results(db), key=lambda pair: (name_of(pair[0]), pair[0].start_pos)):
        module = name_of(spec)
        if result.test_outcome == TestOutcome.SURVIVED:
            old, new = changed(result.diff)
            if settings.is_equivalent(module, result.diff):
                equivalent += 1
                continue
            print(f"survived {module}:{spec.start_pos[0]}\n  - {old}\n  + {new}")
        else:
            killed[module] += 1
        tried[module] += 1
    for module in sorted(tried):
        print(f"{module:40} {killed[module]:4} of {tried[module]:4}")
    waiting = len(list(db.pending_work_items))
    share = killed.total() / max(1, tried.total())
    print(
        f"killed {killed.total()} of {tried.total()} ({share:.1%}); {equivalent} equivalent, "
        f"{waiting} not tried yet"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run or go on with a session."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="places in the sample")
    parser.add_argument("--seed", type=int, default=0, help="draws the sample")
    parser.add_argument("--commit", default="HEAD", help="what is changed and tested")
    parser.add_argument("--only", default="*", help="modules to try now, as attack/*.py")
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds a mutant may take")
    parser.add_argument("--report", action="store_true", help="only say what came of it so far")
    asked: Any = parser.parse_args(arguments)
    commit = subprocess.check_output(
        ["git", "rev-parse", "--short=12", asked.commit],
        cwd=ROOT,
        text=True,
    ).strip()
    settings = Settings.read()
    unpack(commit)
    session = PLACE / f"{commit}-{asked.seed}-{asked.count}.sqlite"
    os.chdir(TREE)
    os.environ |= {"PYTHONPATH": str(TREE / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    settings.check()
    sys.path.insert(0, str(TREE / "src"))
    sys.dont_write_bytecode = True
    for name in HEAVY:
        importlib.import_module(name)
    torch.set_num_threads(1)
    with use_db(session, WorkDB.Mode.create) as db:
        begin(db, settings, asked.count, asked.seed)
        if not asked.report:
            run(db, settings, Sound(session.with_suffix(".sound")), asked.timeout, asked.only)
        report(db, settings)


if __name__ == "__main__":
    sys.exit(main())
