"""One service process: take the port, lock the database, load the bank, then listen."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sfumato.errors import ServiceError
from sfumato.serve.app import create_app
from sfumato.serve.db import database_path
from sfumato.serve.listening import listening, run_app
from sfumato.serve.service import FilterService
from sfumato.serve.settings import ServeSettings


def serve(settings: ServeSettings) -> None:
    """Serve until told to stop by SIGINT or SIGTERM.

    Raises:
        ConfigError: the host or the database's place is wrong.
        ServiceError: the port is in use, or another process serves this database.
        BankError: the database is of another version, or for another backbone.
    """
    with listening(settings.host, settings.port) as sock, sole_user(settings.database):
        service = FilterService.open(settings)
        host, port = sock.getsockname()[:2]
        print(f"serving {len(service.state)} enrollments on http://{host}:{port}", flush=True)
        try:
            # Uvicorn raises it again after a graceful end; for a service it is the way to stop.
            with suppress(KeyboardInterrupt):
                run_app(create_app(service), sock, concurrency=settings.concurrency)
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
