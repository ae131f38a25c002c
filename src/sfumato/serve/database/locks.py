"""A lock, so that one process at a time changes the bank.

Screening reads the whole bank before its result is stored. Without the lock, two enrollments that
resemble each other could both be admitted. It is held while a newcomer is compared with the few
that came while it was screened (`bank.screened`). No transaction is open in that time, so uploads
are decided and recorded meanwhile, and an erasure needs no lock. SQLite's lock is a file lock of
the operating system, PostgreSQL's an advisory lock of the server. Both end with the process that
holds them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from filelock import FileLock, Timeout
from sqlalchemy import Engine, text

from sfumato.errors import ServiceError, StorageError
from sfumato.serve.database.errors import connected

_KEY: Final = 0x5F_0A_70  # any number that nothing else in this database locks
_PATIENCE_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.01


@contextmanager
def change_lock(engine: Engine, *, patience_seconds: float = _PATIENCE_SECONDS) -> Iterator[None]:
    """Hold the right to change the bank.

    Raises:
        ServiceError: others held it all this time.
        StorageError: its file cannot be made.
    """
    deadline = time.monotonic() + patience_seconds
    if engine.dialect.name == "sqlite":
        with _file_lock(f"{engine.url.database}.lock", deadline):
            yield
    else:
        with _server_lock(engine, deadline):
            yield


@contextmanager
def _file_lock(path: str, deadline: float) -> Iterator[None]:
    # Never a lock that is but a file: a killed process would leave it behind.
    lock = FileLock(path, mode=0o600, poll_interval=_PAUSE_SECONDS, fallback_to_soft=False)
    try:
        held = lock.acquire(timeout=max(0.0, deadline - time.monotonic()))
    except Timeout as error:
        raise _others() from error
    except OSError as error:
        raise StorageError(
            f"cannot write the database's lock: {error.strerror}; let this user write its folder"
        ) from error
    with held:
        yield


@contextmanager
def _server_lock(engine: Engine, deadline: float) -> Iterator[None]:
    with connected(engine) as plain:
        connection = plain.execution_options(isolation_level="AUTOCOMMIT")
        while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _KEY}):
            _wait(deadline)
        try:
            yield
        finally:
            # A connection that goes back to the pool would keep the lock; a broken one lost it.
            if not connection.invalidated:
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _KEY})


def _wait(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise _others()
    time.sleep(_PAUSE_SECONDS)


def _others() -> ServiceError:
    return ServiceError("others keep changing the bank; try again")
