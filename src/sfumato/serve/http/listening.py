"""One process that listens. It binds the port before it loads anything.

Its logs never contain a body or a header.
"""

from __future__ import annotations

import asyncio
import copy
import errno
import gc
import ipaddress
import logging
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, cast

import uvicorn
from fastapi import FastAPI
from uvicorn.config import LOGGING_CONFIG

from sfumato.errors import ConfigError, ServiceError
from sfumato.serve.http.connections import HEADER_SECONDS, PatientProtocol, Places
from sfumato.serve.limits import LAST_PORT
from sfumato.serve.tls import Tls

_PLACES = Places(requests=32)  # more are answered 503 so that memory stays bounded
_FILES: Final = 65_536
_REMEDY: Final = {
    errno.EADDRINUSE: "stop what does, or choose another `port`",
    errno.EACCES: "choose a `port` from 1024 on",
}


def run_app(
    app: FastAPI,
    sock: socket.socket,
    *,
    ready: Callable[[], None],
    places: Places = _PLACES,
    tls: Tls | None = None,
) -> None:
    """Serve `app` on a listening socket until told to stop by SIGINT or SIGTERM.

    `ready` is called once requests are answered and signals heeded.
    """
    _allow_files(_FILES)
    config = uvicorn.Config(
        app,
        log_config=log_config(),
        http=cast("type[asyncio.Protocol]", partial(PatientProtocol, places=places)),
        timeout_graceful_shutdown=10,
        server_header=False,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )
    AnnouncingServer(config, ready).run(sockets=[sock])


def _allow_files(most: int) -> None:
    """Allow as many open files, connections among them, as the system lets this process have."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class AnnouncingServer(uvicorn.Server):
    """Says that it is ready when it is: a signal that is sent to it before may be lost."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        if self.config.ssl is not None:
            # A handshake that is not finished counts among no connections yet; asyncio gives it 60.
            loop = asyncio.get_running_loop()
            listen = partial(loop.create_server, ssl_handshake_timeout=HEADER_SECONDS)
            loop.create_server = listen  # type: ignore[method-assign]  # uvicorn has no setting
        await super().startup(sockets)
        if self.started:
            # What is loaded now stays: going through all of it for garbage takes 0.3 s each time.
            gc.collect()
            gc.freeze()
            # A tenth of the loop's time went to looking for garbage, of which uploads make little.
            gc.set_threshold(10_000)
            self._ready()


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Yield a socket that listens, so that a port in use is found before anything is loaded.

    Raises:
        ConfigError: the host is none of this machine, or the port is out of range.
        ServiceError: the port is in use, or not allowed.
    """
    if not 0 <= port <= LAST_PORT:  # a system that takes a larger one listens on another
        raise ConfigError(f"`port` must lie in 0..{LAST_PORT}, got {port}")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _no_host(host, error) from error
    family, kind, protocol, _, address = found[0]
    # With the protocol named, asyncio sends small answers at once (TCP_NODELAY) and not after the
    # 40 ms in which the other side puts off its acknowledgement.
    with socket.socket(family, kind, protocol) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(address)
            sock.listen(128)
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise _no_host(host, error) from error
            raise ServiceError(
                f"cannot listen on {host}:{port}: {error.strerror}; "
                f"{_REMEDY.get(error.errno or 0, 'choose another `port`')}"
            ) from error
        yield sock


def _no_host(host: str, error: Exception) -> ConfigError:
    reason = getattr(error, "strerror", None) or "it is no name"
    return ConfigError(
        "`host`: expected an address of this machine, as 127.0.0.1 (for itself alone), 0.0.0.0 or "
        f":: (for all), or its name; got {host!r}: {reason}"
    )


def address_of(sock: socket.socket, tls: Tls | None) -> str:
    """Return the URL at which a socket listens."""
    host, port = sock.getsockname()[:2]
    return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


class WithoutQuery(logging.Filter):
    """Leaves what follows a `?` out of the log of requests: people put names there."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten the address, which uvicorn gives as the third argument."""
        if isinstance(record.args, tuple) and len(record.args) == 5:
            client, method, path, *rest = record.args
            record.args = (client, method, str(path).partition("?")[0], *rest)
        return True


def warn_in_the_clear(sock: socket.socket, tls: Tls | None) -> None:
    """Say so where others' machines can reach a service that does not speak TLS."""
    host = str(sock.getsockname()[0])
    if tls is None and not ipaddress.ip_address(host.partition("%")[0]).is_loopback:
        print(  # on stderr, as every warning: stdout has the address alone
            f"warning: listening on {host} without TLS: pictures and tokens cross the network for "
            "all to read; speak TLS, or listen on 127.0.0.1 behind a proxy that does",
            file=sys.stderr,
            flush=True,
        )


def log_config() -> dict[str, Any]:
    """Return uvicorn's logging, all of it on stderr, with ours beside it."""
    config: dict[str, Any] = copy.deepcopy(LOGGING_CONFIG)
    config["filters"] = {"without_query": {"()": WithoutQuery}}
    config["handlers"]["access"]["filters"] = ["without_query"]
    config["handlers"]["access"]["stream"] = "ext://sys.stderr"
    config["loggers"]["sfumato"] = {"handlers": ["default"], "level": "INFO", "propagate": False}
    return config
