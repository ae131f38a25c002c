"""A Ray cluster: joining one, and one function over many items on its machines.

Ray sends functions and objects between machines as pickles, so whoever reaches a cluster's ports
can run code in it. Keep them inside a network of your own; see `docs/serve.md`.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from sfumato.errors import ConfigError, ServiceError
from sfumato.extras import needs
from sfumato.progress import Executor, sequential

NAMESPACE: Final = "sfumato"
LOCAL: Final = "local"
_KNOCK_SECONDS: Final = 10.0
_AHEAD: Final = 2  # items a processor that are under way: one is computed while one is fetched
A = TypeVar("A")
B = TypeVar("B")


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Join the cluster at HOST:PORT, the one of this machine (`auto`), or start one (`local`).

    Raises:
        UnavailableError: Ray is not installed.
        ServiceError: no cluster answers there.
    """
    needs("scale", "work on several machines", "ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # it would tell its makers about the cluster
    if address == LOCAL:
        # Its ports are open on every interface: without a secret, any neighbour could run code.
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    import ray

    _knock(address)
    own: dict[str, Any] = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    try:
        ray.init(
            address=address,
            namespace=NAMESPACE,
            log_to_driver=False,
            logging_level=logging.ERROR,
            **(own if address == LOCAL else {}),
        )
    except Exception as error:  # of any kind: Ray raises its bare base class too
        raise _unanswered(address, error) from error
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raise a ServiceError where nobody listens at HOST:PORT: Ray itself tries for minutes."""
    host, colon, port = address.rpartition(":")
    if not colon or "://" in address or not port.isdecimal():
        return  # a word, or a form of address that Ray knows better
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _unanswered(address, error) from error


def _unanswered(address: str, error: Exception) -> ServiceError:
    line = next(iter(str(error).splitlines()), type(error).__name__)
    return ServiceError(
        f"expected a Ray cluster at `ray` {address}, none answers ({line}); start one with "
        "'ray start --head', or take `ray` local"
    )


@contextmanager
def executor_at(address: str | None) -> Iterator[Executor]:
    """Yield how work is done: in this process, or over the cluster at an address."""
    if address is None:
        yield sequential
        return
    with connected(address):
        yield RayMap()


class RayMap:
    """Applies a function to items on a cluster's machines; results come in the items' order.

    What a killed worker or machine had under way is done again by another one, so the function
    must not mind being called twice. A few items a processor are under way at once, so that
    results do not pile up in memory.
    """

    def __call__(self, function: Callable[[A], B], items: Sequence[A]) -> Iterator[B]:
        """Yield the results.

        Raises:
            ConfigError: the function holds something that cannot be sent.
            Whatever the function raises.
        """
        import ray

        try:
            shared = ray.put(function)
        except TypeError as error:
            raise ConfigError(f"this cannot be sent to other machines: {error}") from error
        task = ray.remote(num_cpus=1, max_retries=-1)(_applied)
        processors = int(ray.cluster_resources().get("CPU", 1))  # type: ignore[no-untyped-call]
        under_way: deque[Any] = deque()
        for item in items:
            under_way.append(task.remote(shared, item))
            if len(under_way) > _AHEAD * processors:
                yield _result(under_way.popleft())
        while under_way:
            yield _result(under_way.popleft())


def _applied(function: Callable[[Any], Any], item: Any) -> Any:  # noqa: ANN401 - any function
    return function(item)


def _result(reference: Any) -> Any:  # noqa: ANN401 - of any function
    import ray
    from ray.exceptions import RayTaskError

    try:
        return ray.get(reference)
    except RayTaskError as error:
        raise error.cause from None
