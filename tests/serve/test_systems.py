"""Windows has no `fcntl`, `resource`, `pwd` or `grp`: commands and the service do without."""

from __future__ import annotations

import multiprocessing
import threading
import time
from pathlib import Path

import pytest

from sfumato.errors import ServiceError
from sfumato.serve.database.db import open_database
from sfumato.serve.database.locks import change_lock
from tests.serve.live import python
from tests.serve.world import HIDDEN, World
from tests.waiting import PATIENCE

ABSENT = ("fcntl", "resource", "pwd", "grp", "termios")
_WITHOUT = f"""
import sys, warnings
sys.modules.update(dict.fromkeys({ABSENT}))
"""
_COMMANDS = (
    _WITHOUT
    + """
import json
from sfumato.cli.main import app
enrollment, picture, backbone, database = sys.argv[1:]
for arguments in (
    ["bank", "add", enrollment, "--db", database, "--account", "ada", "--backbone", backbone],
    ["check", picture, "--db", database, "--backbone", backbone, "--json"],
):
    app(["filter", *arguments], standalone_mode=False)
"""
)
_SERVICE = (
    _WITHOUT
    + """
from pathlib import Path
import sfumato.serve.run, sfumato.serve.features
from sfumato.serve.http.listening import _allow_files
from sfumato.serve.service import FilterService
from sfumato.serve.settings import ServeSettings
_allow_files(100)
settings = ServeSettings(
    backbone=Path(sys.argv[1]), database=sys.argv[2], hidden=int(sys.argv[3]), workers=0
)
FilterService.open(settings).close()
print("served")
"""
)


@pytest.mark.slow
def test_a_picture_is_checked_without_what_only_unix_has(world: World, tmp_path: Path) -> None:
    (tmp_path / "me.enrollment").write_bytes(world.enrollments[0])
    (tmp_path / "new.png").write_bytes(world.png(0, 0))
    places = [tmp_path / "me.enrollment", tmp_path / "new.png", world.backbone_file]
    done = python(_COMMANDS, *places, tmp_path / "bank.db")
    assert done.returncode == 0, done.stderr
    assert '"decision": "block"' in done.stdout


@pytest.mark.slow
def test_the_service_starts_without_it(world: World, tmp_path: Path) -> None:
    done = python(_SERVICE, world.backbone_file, tmp_path / "bank.db", HIDDEN)
    assert (done.returncode, done.stdout.strip()) == (0, "served"), done.stderr


def _hold(url: str, held: object, go: object) -> None:
    engine = open_database(url)
    with change_lock(engine):
        held.set()  # type: ignore[attr-defined]
        go.wait(PATIENCE)  # type: ignore[attr-defined]


@pytest.mark.slow
def test_the_lock_keeps_threads_and_processes_out_and_ends_with_them(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/bank.db"
    engine = open_database(url)
    processes = multiprocessing.get_context("spawn")
    held, go = processes.Event(), processes.Event()
    other = processes.Process(target=_hold, args=(url, held, go))
    other.start()
    assert held.wait(PATIENCE)
    refused = pytest.raises(ServiceError, match="others keep changing")
    with refused, change_lock(engine, patience_seconds=0.1):
        pass
    other.kill()
    other.join()
    with change_lock(engine, patience_seconds=30.0):
        inside = threading.Thread(target=_never, args=(engine,))
        inside.start()
        inside.join()
    assert (tmp_path / "bank.db.lock").stat().st_mode & 0o777 == 0o600
    engine.dispose()


def _never(engine: object) -> None:
    started = time.monotonic()
    with pytest.raises(ServiceError), change_lock(engine, patience_seconds=0.1):  # type: ignore[arg-type]
        pass
    assert time.monotonic() - started < 55  # the patience of others, who say nothing, is 60
