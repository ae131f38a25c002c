"""A private PostgreSQL on loopback, of Debian's package, for as long as the tests run."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from tests.waiting import PATIENCE, wait_until

_DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def binary(name: str) -> str | None:
    """Where a program of PostgreSQL's is, or None where it is not installed."""
    places = os.pathsep.join([*map(str, _DEBIAN), os.environ.get("PATH", "")])
    return shutil.which(name, path=places)


class Cluster:
    """A server with a data folder of its own; databases are made and dropped in it."""

    def __init__(self) -> None:
        # The server refuses to run as root, and whoever it runs as must reach its folder.
        self.user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.folder = Path(tempfile.mkdtemp(prefix="sfumato-postgres-"))
        if os.geteuid() == 0:
            shutil.chown(self.folder, self.user)
        self.data = self.folder / "data"
        # Kept while its server is down, too: nobody else is given the port.
        self._reserved = _reserved()
        self.port = self._reserved.getsockname()[1]
        self._made = 0
        secret = self.folder / "password"
        secret.write_text("correct horse")
        secret.chmod(0o644)
        self._run(
            "initdb", "-D", self.data, "-U", "sfumato", "-A", "scram-sha-256", "--pwfile", secret,
            "--encoding=UTF8", "--locale=C", "--no-sync",
        )  # fmt: skip
        self.start()

    def start(self) -> None:
        settings = f"-c listen_addresses=127.0.0.1 -p {self.port} -c fsync=off"
        settings += f" -c unix_socket_directories={self.folder} -c shared_buffers=32MB"
        # Its own looks at a database would now and then keep an erasure waiting.
        settings += " -c autovacuum=off"
        log = self.folder / "log.txt"
        self._control("-l", log, "-o", settings, "start")

    def kill(self) -> None:
        """SIGKILL the server and everything it started, as a power cut would."""
        server = psutil.Process(int((self.data / "postmaster.pid").read_text().split()[0]))
        server.suspend()  # who is started meanwhile would outlive it, and no server start beside it
        family = [server, *server.children(recursive=True)]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, timeout=PATIENCE)

    def new_database(self, like: str = "template1") -> str:
        """Make a database, empty or a copy of the one of that name, and return its URL."""
        self._made += 1
        name = f"bank{self._made}"
        self._administer("CREATE DATABASE {} TEMPLATE {}", name, like)
        return f"postgresql://sfumato:correct%20horse@127.0.0.1:{self.port}/{name}"

    def drop(self, url: str) -> None:
        self._administer("DROP DATABASE {} WITH (FORCE)", url.rsplit("/", 1)[-1])

    def stop(self) -> None:
        self._control("-m", "immediate", "stop")
        self._reserved.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _administer(self, statement: str, *names: str) -> None:
        """Run a statement about databases, once nobody is in them; the server waits 5 s alone."""
        query = sql.SQL(statement).format(*map(sql.Identifier, names))

        def done() -> bool:
            with suppress(psycopg.errors.ObjectInUse), self._admin() as connection:
                connection.execute(query)
                return True
            return False

        wait_until(done)

    def _admin(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="sfumato",
            password="correct horse",
            dbname="postgres",
            autocommit=True,
        )

    def _control(self, *arguments: object) -> None:
        self._run("pg_ctl", "-D", self.data, "-w", "-t", int(PATIENCE), *arguments)

    def _run(self, name: str, *arguments: object) -> None:
        program = binary(name)
        assert program is not None
        done = subprocess.run(
            [program, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL if name == "pg_ctl" else subprocess.PIPE,
            cwd=self.folder,
            user=self.user if os.geteuid() == 0 else None,
            group=pwd.getpwnam(self.user).pw_gid if os.geteuid() == 0 else None,
            extra_groups=[] if os.geteuid() == 0 else None,
            check=False,
        )
        log = self.folder / "log.txt"
        assert done.returncode == 0, (done.stderr, log.read_text() if log.exists() else "")


def _reserved() -> socket.socket:
    """Hold a free port: a server that may reuse addresses can listen on it, and nobody gets it."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held
