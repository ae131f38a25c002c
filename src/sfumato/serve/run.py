"""One service process: take the port, load the bank, then listen.

Any number of them may share a database, on one machine (SQLite) or several (PostgreSQL).
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from sfumato.counted import counted
from sfumato.serve.app import create_app
from sfumato.serve.http.connections import Places
from sfumato.serve.http.listening import (
    address_of,
    listening,
    run_app,
    warn_in_the_clear,
)
from sfumato.serve.service import FilterService, Load, in_memory
from sfumato.serve.settings import ServeSettings


def serve(settings: ServeSettings, load: Load = in_memory) -> None:
    """Serve until told to stop by SIGINT or SIGTERM, with the bank that `load` makes ready.

    Raises:
        ConfigError: the host, the database's place or the certificate is wrong.
        ServiceError: the port is in use, or the database does not answer.
        BankError: the database is of another version, or for another backbone.
    """
    tls = settings.tls
    if tls is not None:
        tls.check()
    with listening(settings.host, settings.port) as sock:
        warn_in_the_clear(sock, tls)
        service = FilterService.open(settings, load)
        size = counted(len(service.state), "enrollment")
        words = f"serving {size} on {address_of(sock, tls)}"
        try:
            # Uvicorn raises it again after a graceful end; for a service it is the way to stop.
            with suppress(KeyboardInterrupt):
                run_app(
                    create_app(service),
                    sock,
                    ready=partial(print, words, flush=True),
                    places=Places(settings.concurrency, settings.per_address),
                    tls=tls,
                )
        finally:
            service.close()
