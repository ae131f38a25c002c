"""From an upload's bytes to its answer: small pictures that wait together go together.

Who decodes them and computes their features is said by `looking`: processes, one a core. Large
pictures have a lane of their own. One thread decides what was looked at: whatever is ready together
is scored by one pass over the bank, on every core, while the next pictures are looked at. What is
blocked is written by a thread of its own, all that waits in one transaction, and answered once it
is on disk.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from sfumato.errors import ImageError, ServiceError
from sfumato.filter.bank.scoring import BATCH
from sfumato.serve.bank.decide import Question, decide_each
from sfumato.serve.bank.interface import Deciding
from sfumato.serve.bank.metrics import Metrics
from sfumato.serve.pictures.extract import Found, Seen
from sfumato.serve.pictures.looking import EndedError, Looking
from sfumato.serve.pictures.suspects import Suspects
from sfumato.serve.records.auth import Account, check_may_name, find_accounts
from sfumato.serve.records.decisions import FACELESS, STRANGER, Decision, Owner, keep_blocks
from sfumato.serve.records.near_counts import Tally
from sfumato.serve.records.store import Store
from sfumato.serve.waiting.groups import Groups
from sfumato.serve.wire import UploadAnswer

_SEEN: Final = 8  # pictures of a group: few, so that the first are soon decided
_WRITTEN: Final = 64  # blocks in one transaction
_log = logging.getLogger("sfumato.serve")


@dataclass(slots=True, eq=False)
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
    ended: int = 0
    """Processes that ended while they had it."""

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
        self, *, store: Store, state: Deciding, looking: Looking, tally: Tally, metrics: Metrics
    ) -> None:
        self._store, self._state, self.looking = store, state, looking
        self._tally, self._metrics = tally, metrics
        self._policy = state.policy.digest if state.policy else ""
        self._suspects = Suspects()
        self.large = looking.lane
        self.small = Groups(self._look, looking.pool, threads=looking.threads, most=_SEEN)
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
        """End the threads, after what they work on, and who looks at pictures."""
        self.large.close()
        for part in (self.small, self.ready, self.blocks, self.looking):
            part.close()

    def _look(self, group: list[_Asked]) -> None:
        """Look at pictures, and let each be decided as soon as it was looked at."""
        # Who has gone away meanwhile is not asked about.
        here = [a for a in group if a.answer.set_running_or_notify_cancel()]
        near = [a for a in here if not self._suspects.holds(a.content, a.alone)]
        for asked in here:
            if asked not in near:
                self._look_apart(asked)
        left = deque(near)
        try:
            every = [asked.content for asked in near]
            for seen in self.looking.small(every, hashes=self._state.asks_hashes):
                self._looked(left.popleft(), seen)
        except BaseException as error:
            for asked in left:
                asked.answer.set_exception(error)

    def _looked(self, asked: _Asked, seen: Found) -> None:
        if isinstance(seen, EndedError):
            self._note_end(asked)
        if seen is None or isinstance(seen, EndedError):
            self._look_apart(asked)
        elif isinstance(seen, BaseException):
            asked.answer.set_exception(seen)
        else:
            self._ready_for(asked, seen)

    def _look_apart(self, asked: _Asked) -> None:
        """Look at a picture where it makes no other wait for long."""
        try:
            later = self.large.submit(asked.alone, partial(self._look_at_all, asked))
            later.add_done_callback(partial(_given_up, asked))
        except BaseException as error:
            asked.answer.set_exception(error)

    def _look_at_all(self, asked: _Asked) -> None:
        try:
            seen = self._twice(asked)
        except BaseException as error:
            asked.answer.set_exception(error)
        else:
            self._ready_for(asked, seen)

    def _twice(self, asked: _Asked) -> Seen:
        """Return what a file shows; where a process ends at it, that need not be the file's fault.

        Raises:
            ImageError: it is the second that ends.
        """
        while True:
            try:
                return self.looking.all(asked.content, hashes=self._state.asks_hashes)
            except EndedError as error:
                self._note_end(asked)
                if asked.ended > 1:
                    raise ImageError(
                        "expected a picture that can be decoded; the process that tried ended, "
                        "twice; save it as another format, or with another program"
                    ) from error

    def _note_end(self, asked: _Asked) -> None:
        asked.ended += 1
        self._suspects.add(asked.content, asked.alone)
        self._metrics.ended.inc()
        _log.warning("a process ended at a picture of account %d", asked.account.id)

    def _ready_for(self, asked: _Asked, seen: Seen) -> None:
        try:
            self.ready.put((asked, seen))
        except BaseException as error:
            asked.answer.set_exception(error)

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


def _given_up(asked: _Asked, looked: Future[None]) -> None:
    if looked.cancelled():
        asked.answer.set_exception(ServiceError("the service ends; send the picture again"))
