"""A real server in a process of its own, for tests that kill it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from unittest import mock

from sfumato.serve.database.db import open_database
from sfumato.serve.pictures.worker import PRELOADED
from sfumato.serve.records.auth import add_account
from sfumato.serve.run import serve
from sfumato.serve.settings import ServeSettings
from tests.serve.world import HIDDEN, World
from tests.waiting import PATIENCE

_MAIN = "import sys; sys.argv[0] = 'sfumato'; from sfumato.cli import main; main()"
# Importing torch takes seconds; a process forked from one that did starts at once.
_PROCESSES = multiprocessing.get_context("forkserver")
# There is one fork server, whoever starts it: a server's own processes for pictures, or a test.
PRELOADED.extend(["sfumato.serve.run", "sfumato.features.backbone"])
_PROCESSES.set_forkserver_preload(PRELOADED)


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run code with this very source tree in a process of its own, and wait."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env=_environment(),
    )


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}


class LiveServer:
    """A service on a free port of loopback: the command itself, or (fast) the function it calls."""

    def __init__(self, world: World, folder: Path, db_url: str, *, fast: bool = True) -> None:
        self.world, self.folder, self.db_url, self.fast = world, folder, db_url, fast
        self.process: subprocess.Popen[bytes] | BaseProcess | None = None
        self.url = ""

    @property
    def _log(self) -> Path:
        return self.folder / "log.txt"

    @property
    def settings(self) -> ServeSettings:
        return ServeSettings(
            backbone=self.world.backbone_file,
            database=self.db_url,
            port=0,
            workers=0,
            hidden=HIDDEN,
            quota=1000,
            answer_minutes=0.0,
            flood=100_000,
            enrollments_per_minute=100_000,
            uploads_per_minute=100_000,
            requests_per_minute=100_000,
        )

    def start(self) -> str:
        out = self.folder / "out.txt"
        out.write_bytes(b"")
        if self.fast:
            self.process = _PROCESSES.Process(
                target=_serve, args=(self.settings, str(out), str(self._log)), daemon=True
            )
            # The fork server itself starts with the first process, and takes its path from here.
            with mock.patch.dict(os.environ, _environment()):
                self.process.start()
        else:
            self.process = self._command(out)
        for _ in range(6000):  # five minutes, for a machine that is busy
            line = out.read_text()
            if line.endswith("\n"):
                self.url = line.split()[-1]
                return self.url
            assert self._runs(), self.log()
            time.sleep(0.05)
        raise AssertionError(self.log())

    def _runs(self) -> bool:
        if isinstance(self.process, subprocess.Popen):
            return self.process.poll() is None
        return self.process is not None and self.process.exitcode is None

    def _command(self, out: Path) -> subprocess.Popen[bytes]:
        arguments = [
            "filter", "serve", "--backbone", str(self.world.backbone_file), "--db", self.db_url,
            "--port", "0", "--hidden", str(HIDDEN), "--answer-minutes", "0",
        ]  # fmt: skip
        with self._log.open("ab") as log, out.open("ab") as stdout:
            return subprocess.Popen(
                [sys.executable, "-c", _MAIN, *arguments],
                stdout=stdout,
                stderr=log,
                env=_environment(),
            )

    def token(self, name: str) -> str:
        engine = open_database(self.db_url)
        token = add_account(engine, name)[1]
        engine.dispose()
        assert token is not None
        return token

    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def kill(self, number: int = signal.SIGKILL) -> int:
        """Send a signal, and return how the process ended."""
        process, self.process = self.process, None
        if process is None or process.pid is None:
            return 0
        os.kill(process.pid, number)
        if isinstance(process, subprocess.Popen):
            return process.wait(PATIENCE)
        process.join(PATIENCE)
        assert process.exitcode is not None
        return process.exitcode


def _serve(settings: ServeSettings, out: str, log: str) -> None:
    for number, path in ((1, out), (2, log)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), number)
    serve(settings)
