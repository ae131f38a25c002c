"""The shards of a bank as Ray actors: starts them, finds them again, and repeats failed questions.

An actor's name follows from the database and the share, so all service processes of a database ask
the same actors. Ray restarts an actor, if necessary on another machine, when its process or its
machine dies.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Final

from sfumato._version import __version__
from sfumato.errors import ServiceError
from sfumato.filter.bank.scoring import BATCH
from sfumato.serve.sharded.shard import Shard, ShardOrder

WAIT_SECONDS: Final = 10.0
"""For a shard that is down, before a request is refused."""
_PAUSE_SECONDS: Final = 0.1
_BEAT_SECONDS: Final = 5.0
_log = logging.getLogger("sfumato.serve")


class ShardActor(Shard):
    """A shard that ends itself, for good, when no service asks for it any more."""

    def __init__(self, order: ShardOrder) -> None:
        import ray

        super().__init__(order)
        self._self = ray.get_runtime_context().current_actor
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def _watch(self) -> None:
        import ray

        while time.monotonic() - self.asked < self.order.idle_seconds:
            time.sleep(min(1.0, self.order.idle_seconds))
        ray.kill(self._self, no_restart=True)


class RayShards:
    """Asks the shards of these orders; use it as a context manager, inside `connected`."""

    def __init__(self, orders: Sequence[ShardOrder], *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._orders, self._wait = orders, wait_seconds
        self.handles = [_handle(order) for order in orders]
        self._ended = threading.Event()
        self._beat = threading.Thread(target=self._keep_alive, name="shards", daemon=True)

    def __enter__(self) -> RayShards:
        self._beat.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._beat.join()

    def __call__(self, method: str, *arguments: Any, seconds: float | None = None) -> list[Any]:  # noqa: ANN401
        """Return every shard's answer, in their order.

        Raises:
            ServiceError: one did not answer in time, however often it was asked.
            BankError: one cannot load its share.
        """
        import ray
        from ray.exceptions import RayError, RayTaskError

        deadline = time.monotonic() + (self._wait if seconds is None else seconds)
        answers: dict[int, Any] = {}
        pending = {self._send(i, method, arguments): i for i in range(len(self._orders))}
        while pending:
            done, _ = ray.wait(list(pending), timeout=max(0.0, deadline - time.monotonic()))
            if not done:
                raise ServiceError("a shard of the bank does not answer; try again")
            place = pending.pop(done[0])
            try:
                answers[place] = ray.get(done[0])
                continue
            except RayTaskError as error:
                if not isinstance(error.cause, ServiceError):
                    raise error.cause from None
            except RayError as error:
                _log.warning("shard %d is down: %s", place, type(error).__name__)
                self.handles[place] = _handle(self._orders[place])
            if time.monotonic() > deadline:
                raise ServiceError("a shard of the bank is not ready; try again")
            time.sleep(_PAUSE_SECONDS)
            pending[self._send(place, method, arguments)] = place
        return [answers[i] for i in range(len(self._orders))]

    def _send(self, place: int, method: str, arguments: Sequence[Any]) -> Any:  # noqa: ANN401
        return getattr(self.handles[place], method).remote(*arguments)

    def _keep_alive(self) -> None:
        while not self._ended.wait(_BEAT_SECONDS):
            with suppress(Exception):  # whoever asks for a decision learns what is wrong
                self("size", 0, seconds=_BEAT_SECONDS)


def _handle(order: ShardOrder) -> Any:  # noqa: ANN401 - Ray makes the class as it goes
    """Return the actor of this order, started where there is none."""
    import ray

    made_of = f"{__version__} {order}"
    return (
        ray.remote(ShardActor)
        .options(
            name=f"shard-{order.share.index}-{hashlib.sha256(made_of.encode()).hexdigest()[:32]}",
            lifetime="detached",
            get_if_exists=True,
            max_restarts=-1,
            max_task_retries=0,  # asked again here, and only until the deadline
            max_concurrency=BATCH,  # so many uploads are scored together
            num_cpus=1,
            scheduling_strategy="SPREAD",
        )
        .remote(order)
    )
