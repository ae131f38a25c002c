"""From an upload's bytes to its answer: small pictures that wait together go together.

A few threads, one a core, decode them and compute their features; large pictures have a lane of
their own. One more thread decides what they have looked at: whatever is ready together is scored
by one pass over the bank, on every core, while the next pictures are looked at. What is blocked is
written by a thread of its own, all that waits in one transaction, and answered once it is on disk.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from sfumato.errors import ServiceError
from sfumato.filter.bank.scoring import BATCH
from sfumato.serve.bank.decide import Question, decide_each
from sfumato.serve.bank.extract import Pictures, Seen
from sfumato.serve.bank.groups import Groups
from sfumato.serve.bank.interface import Deciding
from sfumato.serve.bank.lanes import large_lane, small_pool, small_threads
from sfumato.serve.bank.metrics import Metrics
from sfumato.serve.records.auth import Account, check_may_name, find_accounts
from sfumato.serve.records.decisions import FACELESS, STRANGER, Decision, Owner, keep_blocks
from sfumato.serve.records.near_counts import Tally
from sfumato.serve.records.store import Store
from sfumato.serve.wire import UploadAnswer

_SEEN: Final = 8  # pictures that a thread takes at once: few, so that the first are soon decided
_WRITTEN: Final = 64  # blocks in one transaction
_log = logging.getLogger("sfumato.serve")


@dataclass(slots=True)
class _Asked:
    """One upload on its way."""

    content: bytes
    account: Account
    person: str | None
    answer: Future[UploadAnswer] = field(default_factory=Future)
    begun: float = field(default_factory=time.perf_counter)
    account_id: int = STRANGER
    """Whose enrollments may override."""
    owner: Owner = field(init=False)

    def belongs_to(self, people: Mapping[str, Account]) -> None:
        """Note whose upload it is, of the people whom gateways name."""
        if self.person is None:
            self.account_id, self.owner = self.account.id, Owner(self.account.id)
            return
        found = people.get(self.person)
        self.account_id = found.id if found else STRANGER
        # A person without an account cannot appeal; their gateway can, for them.
        own = found.id if found else self.account.id
        self.owner = Owner(own, person=self.person, gateway_id=self.account.id)

    @property
    def alone(self) -> str | None:
        """Whose large pictures are counted together; a gateway that names nobody sends all's."""
        return self.person or (None if self.account.role == "uploader" else self.account.name)


class Uploads:
    """Decides uploads. Neither a picture nor its features are kept. Thread-safe."""

    def __init__(
        self, *, store: Store, state: Deciding, pictures: Pictures, tally: Tally, metrics: Metrics
    ) -> None:
        self._store, self._state, self.pictures = store, state, pictures
        self._tally, self._metrics = tally, metrics
        self._policy = state.policy.digest if state.policy else ""
        self.large = large_lane()
        self.small = Groups(self._look, small_pool(), threads=small_threads(), most=_SEEN)
        self.ready = Groups(self._decide, _one_thread("decide"), threads=1, most=BATCH)
        self.blocks = Groups(self._write, _one_thread("block"), threads=1, most=_WRITTEN)

    def ask(
        self, account: Account, content: bytes, person: str | None = None
    ) -> Future[UploadAnswer]:
        """Decide whether the account, or the `person` whom a gateway names, may share an image.

        The answer is an `UploadAnswer`, an `ImageError` where the bytes are no picture or a too
        large one, or a `RequestError`: 429, 503 too many large pictures of this account, or of all.

        Raises:
            RequestError: 403 only an uploader names another account.
        """
        if person is not None:
            check_may_name(account)
        asked = _Asked(content, account, person)
        self.small.put(asked)
        return asked.answer

    def close(self) -> None:
        """End the threads, after what they work on."""
        self.large.close()
        for part in (self.small, self.ready, self.blocks):
            part.close()

    def _look(self, group: list[_Asked]) -> None:
        """Look at pictures, and let each be decided as soon as it was looked at."""
        # Who has gone away meanwhile is not asked about.
        here = [a for a in group if a.answer.set_running_or_notify_cancel()]
        try:
            names = {a.person for a in here if a.person is not None}
            people = find_accounts(self._store.engine, names) if names else {}
        except BaseException as error:
            for asked in here:
                asked.answer.set_exception(error)
            return
        for asked in here:
            asked.belongs_to(people)
            try:
                seen = self.pictures.small(asked.content, hashes=self._state.asks_hashes)
                if seen is None:
                    later = self.large.submit(asked.alone, partial(self._look_at_large, asked))
                    later.add_done_callback(partial(_given_up, asked))
                else:
                    self.ready.put((asked, seen))
            except BaseException as error:
                asked.answer.set_exception(error)

    def _look_at_large(self, asked: _Asked) -> None:
        try:
            seen = self.pictures.all(asked.content, hashes=self._state.asks_hashes)
            self.ready.put((asked, seen))
        except BaseException as error:
            asked.answer.set_exception(error)

    def _decide(self, some: list[tuple[_Asked, Seen]]) -> None:
        """Decide what was looked at; what nobody can decide fails alone."""
        now = self._store.clock.now()
        questions = [
            Question(
                seen=seen,
                account_id=asked.account_id,
                account_name=asked.person or asked.account.name,
                now=now,
            )
            for asked, seen in some
        ]
        try:
            found = decide_each(self._state, questions)
        except BaseException as error:
            if len(some) == 1:
                some[0][0].answer.set_exception(error)
                return
            for one in some:
                self._decide([one])
            return
        for (asked, _), decision in zip(some, found, strict=True):
            try:
                self._decided(asked, decision)
            except BaseException as error:  # of one upload, which nobody else's waits for
                asked.answer.set_exception(error)

    def _decided(self, asked: _Asked, found: Decision) -> None:
        self._metrics.seconds.observe(time.perf_counter() - asked.begun)
        nearest = found.nearest
        self._tally.count(nearest.account, math.inf if nearest.score is None else nearest.score)
        if found.against is None:
            self._answer(asked, found)
        else:
            self.blocks.put((asked, found))

    def _write(self, group: list[tuple[_Asked, Decision]]) -> None:
        try:
            keep_blocks(self._store, self._policy, [(a.owner, found) for a, found in group])
        except BaseException as error:
            for asked, _ in group:
                asked.answer.set_exception(error)
            return
        for asked, found in group:
            try:
                self._answer(asked, found)
            except BaseException as error:
                asked.answer.set_exception(error)

    def _answer(self, asked: _Asked, found: Decision) -> None:
        blocked = found.against is not None
        self._metrics.count_upload(
            blocked=blocked, enforced=found.enforced, faceless=found.faceless
        )
        where = "" if not blocked or found.frame is None else f", by frame {found.frame}"
        where += f"; {FACELESS}" if found.faceless else ""
        _log.info(
            "decision %s for account %d: %s%s",
            found.id,
            asked.owner.account_id,
            found.verdict,
            where,
        )
        asked.answer.set_result(
            UploadAnswer(id=found.id, decision=found.verdict, reason=found.reason)
        )


def _one_thread(name: str) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix=f"sfumato-{name}")


def _given_up(asked: _Asked, looked: Future[None]) -> None:
    if looked.cancelled():
        asked.answer.set_exception(ServiceError("the service ends; send the picture again"))
