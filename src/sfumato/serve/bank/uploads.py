"""From an upload's bytes to its answer: small pictures that wait together go together.

`Asking` has them decoded, and their features computed. One thread decides what was looked at:
whatever is ready together is scored by one pass over the bank, on every core, while the next
pictures are looked at. What is blocked is written by a thread of its own, all that waits in one
transaction, and answered once it is on disk.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from sfumato.filter.bank.scoring import BATCH
from sfumato.serve.bank.decide import Question, decide_each
from sfumato.serve.bank.interface import Deciding
from sfumato.serve.bank.metrics import Metrics
from sfumato.serve.pictures.asking import Asked, Asking
from sfumato.serve.pictures.extract import Seen
from sfumato.serve.pictures.looking import Looking
from sfumato.serve.records.auth import Account, check_may_name, find_accounts
from sfumato.serve.records.decisions import FACELESS, STRANGER, Decision, Owner, keep_blocks
from sfumato.serve.records.near_counts import Tally
from sfumato.serve.records.store import Store
from sfumato.serve.waiting.groups import Groups
from sfumato.serve.wire import UploadAnswer

_WRITTEN: Final = 64  # blocks in one transaction
_log = logging.getLogger("sfumato.serve")


@dataclass(slots=True, eq=False)
class _Asked(Asked[UploadAnswer]):
    """One upload on its way."""

    account: Account = field(kw_only=True)
    person: str | None = field(kw_only=True)
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
    def sender(self) -> str | None:
        """Whose large pictures are counted together; a gateway that names nobody sends all's."""
        return self.person or (None if self.account.role == "uploader" else self.account.name)


class Uploads:
    """Decides uploads. Neither a picture nor its features are kept. Thread-safe."""

    def __init__(
        self, *, store: Store, state: Deciding, looking: Looking, tally: Tally, metrics: Metrics
    ) -> None:
        self._store, self._state = store, state
        self._tally, self._metrics = tally, metrics
        self._policy = state.policy.digest if state.policy else ""
        self.asking: Asking[_Asked] = Asking(
            looking,
            ready=lambda asked, seen: self.ready.put((asked, seen)),
            noted=self._note_end,
            hashes=lambda: state.asks_hashes,
        )
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
        asked = _Asked(content, account=account, person=person)
        self.asking.put(asked)
        return asked.answer

    def close(self) -> None:
        """End the threads, after what they work on, and who looks at pictures."""
        for part in (self.asking, self.ready, self.blocks):
            part.close()

    def _note_end(self, asked: _Asked) -> None:
        self._metrics.ended.inc()
        _log.warning("a process ended at a picture of account %d", asked.account.id)

    def _decide(self, some: list[tuple[_Asked, Seen]]) -> None:
        """Decide what was looked at, and answer it or have it written."""
        names = {asked.person for asked, _ in some if asked.person is not None}
        try:
            people = find_accounts(self._store.engine, names) if names else {}
        except BaseException as error:
            for asked, _ in some:
                asked.answer.set_exception(error)
            return
        for asked, _ in some:
            asked.belongs_to(people)
        self._conclude(some)

    def _conclude(self, some: list[tuple[_Asked, Seen]]) -> None:
        """Decide; what nobody can decide fails alone."""
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
                self._conclude([one])
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
