"""One share of a bank in its own process: it loads the share from the database and follows changes.

A shard stores nothing that the database does not have, so a restarted shard is as good as the
killed one. Every question names the change that the answer must know; a shard that is behind
catches up first.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, UInt8

from sfumato.errors import ServiceError, SfumatoError, StorageError
from sfumato.features.policy import Policy
from sfumato.filter.bank.scoring import BATCH
from sfumato.filter.enrollment import open_enrollment
from sfumato.filter.rule.front import Front
from sfumato.filter.rule.screening import Comparison
from sfumato.filter.rule.yielding import ClassScore
from sfumato.serve.bank.follow import Follower
from sfumato.serve.bank.interface import Upload
from sfumato.serve.bank.memory import BankState
from sfumato.serve.database.db import open_database
from sfumato.serve.records.shard_share import Share
from sfumato.serve.records.store import Store, Terms
from sfumato.serve.sharded.batches import Batches

_LOADING_SECONDS: Final = 1.0  # for which a question waits; it is then asked again
_log = logging.getLogger("sfumato.serve")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardOrder:
    """What one shard has to hold."""

    database: str
    """Its URL, as every machine reaches it."""
    terms: Terms
    share: Share
    policy: Policy | None = None
    """Of the backbone: how far claims reach."""
    reach: float | None = None
    """Of the shortlist; None scores all."""
    idle_seconds: float = 60.0
    """A shard that nobody asks for so long ends itself."""


class Shard:
    """The share of a bank that `order` names. Safe to ask from many threads.

    Uploads that arrive while others are scored form the next batch, as in one process.

    Every method takes `after`, the number of the last change that the answer must know.

    Raises, from every method:
        ServiceError: it is still loading, or its database does not answer; ask again.
        BankError: what the database holds is damaged.
    """

    def __init__(self, order: ShardOrder) -> None:
        self.order = order
        self.asked = time.monotonic()
        self._store: Store | None = None
        self.state: BankState | None = None
        self._follower: Follower | None = None
        self._refusal: SfumatoError | None = None
        self._ended = threading.Event()
        self._ready = threading.Event()
        self.waiting_fronts = Batches(self._answer, most=BATCH)
        threading.Thread(target=self._load, name="load", daemon=True).start()

    def size(self, after: int) -> int:
        """Return how many enrollments of this share count."""
        return len(self._reached(after))

    def front(
        self, after: int, features: Float[np.ndarray, "1 d"], account_id: int, now: datetime
    ) -> tuple[int, Front]:
        """Return this share's front for an upload, and the last change that it includes."""
        self._reached(after)
        return self.waiting_fronts(Upload(torch.from_numpy(features.copy()), account_id, now))

    def first_copy(
        self, after: int, hashes: UInt8[np.ndarray, "v 32"], now: datetime
    ) -> tuple[str, int, int] | None:
        """Return the first enrollment with a copy of a view: its id, the distance, its account.

        An enrollment that is disabled claims nothing.
        """
        state = self._reached(after)
        found = state.first_copy(torch.from_numpy(hashes.copy()), now)
        return None if found is None else (found[0].enrollment, found[0].distance, found[1])

    def class_scores(
        self,
        after: int,
        enrollment: str,
        features: Float[np.ndarray, "1 d"],
        account_id: int,
        now: datetime,
    ) -> list[ClassScore]:
        """Return what an enrollment and those of an account say of a picture, of those here."""
        x = torch.from_numpy(features.copy())
        return self._reached(after).class_scores(enrollment, x, account_id, now)

    def compare(
        self,
        after: int,
        name: str,
        content: bytes,
        account_id: int,
        seed: int,
        among: Sequence[str] | None = None,
    ) -> Comparison:
        """Compare a newcomer's enrollment file with others here: all, or those `among`."""
        state = self._reached(after)
        return state.compare(name, open_enrollment(content).enrollment, account_id, seed, among)

    def close(self) -> None:
        """Stop following, and close the database."""
        self._ended.set()
        self._ready.wait()
        if self._follower is not None:
            self._follower.stop()
        if self._store is not None:
            self._store.engine.dispose()

    def _reached(self, after: int) -> BankState:
        self.asked = time.monotonic()
        if not self._ready.wait(_LOADING_SECONDS):
            raise ServiceError("a shard of the bank is still loading; try again")
        if self._refusal is not None:
            raise self._refusal
        state, follower = self._loaded()
        if follower.seen < after:
            follower.catch_up()
        return state

    def _loaded(self) -> tuple[BankState, Follower]:
        assert self.state is not None  # noqa: S101 - ready, and not refused
        assert self._follower is not None  # noqa: S101
        return self.state, self._follower

    def _answer(self, uploads: Sequence[Upload]) -> list[tuple[int, Front]]:
        state, follower = self._loaded()
        # No change between the scores and the number that says which changes they know.
        with follower.paused() as seen:
            return [(seen, found) for found in state.fronts(uploads)]

    def _load(self) -> None:
        while not self._ended.is_set():
            try:
                self._open()
            except (ServiceError, StorageError) as error:
                _log.error("shard %s waits for its database: %s", self.order.share, error)
                self._ended.wait(_LOADING_SECONDS)
                continue
            except SfumatoError as error:
                self._refusal = error
            break
        self._ready.set()

    def _open(self) -> None:
        store = self._store or Store(open_database(self.order.database))
        self._store = store
        seen = store.last_change()  # before the bank: a change that it has already does no harm
        order = self.order
        self.state = BankState.load(
            store, order.terms, order.share, policy=order.policy, reach=order.reach
        )
        self._follower = Follower(store, self.state, seen=seen)
        self._follower.start()
