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
        self.port = _free_port()
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
        log = self.folder / "log.txt"
        self._run("pg_ctl", "-D", self.data, "-l", log, "-w", "-o", settings, "start")

    def kill(self) -> None:
        """SIGKILL the server and everything it started, as a power cut would."""
        server = psutil.Process(int((self.data / "postmaster.pid").read_text().split()[0]))
        family = [server, *server.children(recursive=True)]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, timeout=30)

    def new_database(self) -> str:
        """Make an empty database, and return its URL."""
        self._made += 1
        name = f"bank{self._made}"
        with self._admin() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return f"postgresql://sfumato:correct%20horse@127.0.0.1:{self.port}/{name}"

    def drop(self, url: str) -> None:
        name = url.rsplit("/", 1)[-1]
        with self._admin() as connection:
            query = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            connection.execute(query)

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self.data, "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _admin(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="sfumato",
            password="correct horse",
            dbname="postgres",
            autocommit=True,
        )

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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert isinstance(port, int)
    return port
