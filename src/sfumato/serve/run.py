"""One service process: take the port, lock the database, load the bank, then listen."""

from __future__ import annotations

import copy
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn
from uvicorn.config import LOGGING_CONFIG

from sfumato.errors import ConfigError, ServiceError
from sfumato.serve.app import create_app
from sfumato.serve.db import database_path
from sfumato.serve.service import FilterService
from sfumato.serve.settings import ServeSettings


def serve(settings: ServeSettings) -> None:
    """Serve until told to stop by SIGINT or SIGTERM.

    Raises:
        ConfigError: the host or the database's place is wrong.
        ServiceError: the port is in use, or another process serves this database.
        BankError: the database is of another version, or for another backbone.
    """
    with _listening(settings.host, settings.port) as sock, sole_user(settings.database):
        service = FilterService.open(settings)
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(service),
                log_config=_log_config(),
                limit_concurrency=settings.concurrency,
                timeout_graceful_shutdown=10,
                server_header=False,
            )
        )
        host, port = sock.getsockname()[:2]
        print(f"serving {len(service.state)} enrollments on http://{host}:{port}", flush=True)
        try:
            # Uvicorn raises it again after a graceful end; for a service it is the way to stop.
            with suppress(KeyboardInterrupt):
                server.run(sockets=[sock])
        finally:
            service.close()


@contextmanager
def sole_user(database: str) -> Iterator[None]:
    """Hold the database for this process: two banks in two memories would part ways.

    Raises:
        ServiceError: another process holds it.
    """
    path = database_path(database)
    lock = path.with_name(path.name + ".lock")
    handle = os.open(lock, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise ServiceError(
            f"{path} is in use by a running service; ask that service, or stop it first"
        ) from error
    finally:
        os.close(handle)


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise ConfigError(f"--host: cannot resolve {host!r}: {error.strerror}") from error
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(address)
            # Listening at once is what finds a port that is in use; callers wait in the queue
            # while the bank loads.
            sock.listen(128)
        except OSError as error:
            raise ServiceError(
                f"cannot listen on {host}:{port}: {error.strerror}; "
                "stop what does, or choose another --port"
            ) from error
        yield sock


def _log_config() -> dict[str, Any]:
    """Return uvicorn's logging with ours beside it, on stderr. No body or header is ever logged."""
    config: dict[str, Any] = copy.deepcopy(LOGGING_CONFIG)
    config["handlers"]["access"]["stream"] = "ext://sys.stderr"
    config["loggers"]["sfumato"] = {"handlers": ["default"], "level": "INFO", "propagate": False}
    return config
