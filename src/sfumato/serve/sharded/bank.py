"""A bank in shards: every shard takes part in every decision.

Before an upload is decided, the service asks the database for its last change, and every shard's
answer must include that change. So every machine scores an acknowledged enrollment from then on,
and none scores an erased one. A shard that does not answer in time makes the request fail (503,
Retry-After). No decision leaves a shard out.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final, Protocol, runtime_checkable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jaxtyping import Float, UInt8
from torch import Tensor

from sfumato.errors import FormatError, ServiceError
from sfumato.features.policy import Policy
from sfumato.filter.copies import Copy
from sfumato.filter.enrollment import Enrollment, seal_enrollment
from sfumato.filter.neardup import available
from sfumato.filter.rule.front import Front, decide, joined
from sfumato.filter.rule.screening import Comparison, Likeness
from sfumato.filter.rule.screening import joined as joined_comparisons
from sfumato.filter.rule.yielding import yields
from sfumato.serve.bank.interface import Upload, deciding, no_match
from sfumato.serve.records.decisions import Match
from sfumato.serve.records.rules import read_rules
from sfumato.serve.records.store import Store, Terms

_START_SECONDS: Final = 3600.0  # in which all shards must have loaded: hours of enrollments
_SIZE_SECONDS: Final = 2.0
_log = logging.getLogger("sfumato.serve")


@runtime_checkable
class Ask(Protocol):
    """Asks all shards the same question, and returns all answers or raises a ServiceError."""

    def __call__(self, method: str, *arguments: Any, seconds: float | None = None) -> list[Any]:  # noqa: ANN401
        """Call a method of `Shard` on every shard; wait so long for those that are down."""
        ...


class ShardedBank:
    """The enrollments of one database, scored by shards; what a `BankState` decides, it decides.

    Raises, from every method that asks:
        ServiceError: a shard did not answer in time.
    """

    def __init__(
        self, store: Store, terms: Terms, ask: Ask, *, policy: Policy | None = None
    ) -> None:
        self.terms, self.policy = terms, policy
        self.rules = read_rules(store)
        self._store, self._ask = store, ask

    @classmethod
    def load(
        cls, store: Store, terms: Terms, ask: Ask, *, policy: Policy | None = None
    ) -> ShardedBank:
        """Return the bank when all its shards have loaded their parts.

        Raises:
            BankError: a stored enrollment is damaged.
            ServiceError: a shard cannot be started.
        """
        made = cls(store, terms, ask, policy=policy)
        ask("size", 0, seconds=_START_SECONDS)
        return made

    def __len__(self) -> int:
        """Return how many enrollments count, if all shards can say so at once."""
        return sum(self._asked("size", self._store.last_change(), seconds=_SIZE_SECONDS))

    def add(
        self,
        name: str,
        enrollment: Enrollment,
        account_id: int,
        contests: Iterable[Likeness] = (),
        *,
        arrival: int,
    ) -> None:
        """Nothing is kept here: the next question makes the shards read it from the database."""

    def remove(self, name: str) -> None:  # noqa: ARG002 - the database says which
        """Return when no shard holds the enrollment any more, which is erased when this is."""
        self._asked("size", self._store.last_change())

    def decide(self, features: Float[Tensor, "n d"], account_id: int, now: datetime) -> Match:
        """Decide one upload, its pictures one after the other."""
        return deciding(self._decided(row[None], account_id, now) for row in features)

    def decide_each(self, uploads: Sequence[Upload]) -> list[Match]:
        """Decide uploads, all at the same time: most of it is waiting for the shards."""
        if len(uploads) == 1:
            return [self.decide(uploads[0].features, uploads[0].account_id, uploads[0].now)]
        with ThreadPoolExecutor(len(uploads), thread_name_prefix="sfumato-ask") as pool:
            asked = [pool.submit(self.decide, u.features, u.account_id, u.now) for u in uploads]
            return [one.result() for one in asked]

    def _decided(self, features: Float[Tensor, "1 d"], account_id: int, now: datetime) -> Match:
        margin, row = decide(self._front(features, account_id, now), account_id)
        if row is None:
            return no_match()
        return Match(
            claim="class",
            enrollment=row.enrollment,
            account=row.account,
            margin=margin,
            score=row.alpha - margin,
        )

    @property
    def asks_hashes(self) -> bool:
        """Whether pictures can be hashed here: what is enrolled, only the shards know."""
        return available()

    def find_copy(
        self, hashes: UInt8[Tensor, "v 32"], account_id: int, now: datetime
    ) -> Copy | None:
        """Return the enrolled picture that a picture is a copy of, unless it is the uploader's."""
        answers = self._asked("first_copy", self._store.last_change(), hashes.numpy(), now)
        found = {answer[0]: answer for answer in answers if answer is not None}
        first = self._store.earliest(found) if found else None
        if first is None or found[first][2] == account_id:
            return None
        return Copy(first, found[first][1])

    def copy_yields(
        self, enrollment: str, features: Float[Tensor, "1 d"], account_id: int, now: datetime
    ) -> bool:
        """Return whether a near copy of somebody's does not stand against an account."""
        after, x = self._store.last_change(), features.float().numpy()
        answers = self._asked("class_scores", after, enrollment, x, account_id, now)
        pairs = {(p.overrider, p.claimant) for p in self._store.contests(enrollment)}
        return yields(enrollment, [score for part in answers for score in part], pairs)

    def screen(
        self,
        name: str,
        enrollment: Enrollment,
        account_id: int,
        among: Collection[str] | None = None,
    ) -> Comparison:
        """Compare a newcomer, which does not count yet, with everybody else's enrollments.

        With `among` only with those.
        """
        # Signed by nobody in particular: the form in which its numbers are checked on arrival.
        content = seal_enrollment(enrollment, Ed25519PrivateKey.generate())
        after, seed = self._store.last_change(), secrets.randbits(32)
        wanted = None if among is None else tuple(among)
        parts = self._asked("compare", after, name, content, account_id, seed, wanted)
        return joined_comparisons(parts)

    def _front(self, features: Float[Tensor, "1 d"], account_id: int, now: datetime) -> Front:
        """Return the front of the whole bank.

        No shard may be behind the one that tells an owned score: it might not know yet that
        this score must not override a claim of its own. Claims are asked for again then; the
        owned scores stay, or a bank that changes all the time would never be caught up with.
        """
        x = features.float().numpy()
        first = self._asked("front", self._store.last_change(), x, account_id, now)
        newest = max((seen for seen, part in first if part.owns(account_id)), default=0)
        if all(seen >= newest for seen, _ in first):
            return joined(part for _, part in first)
        again = self._asked("front", newest, x, account_id, now)
        owned = {r.enrollment: r for _, part in first for r in part.rows if r.account == account_id}
        claims = joined(part for _, part in again)
        # In the order of the claims' answer, so that nothing changes where nothing changed.
        rows = [
            owned.pop(r.enrollment, None) if r.account == account_id else r for r in claims.rows
        ]
        return Front((*filter(None, rows), *owned.values()), claims.pairs)

    def _asked(self, method: str, *arguments: Any, seconds: float | None = None) -> list[Any]:  # noqa: ANN401
        try:
            return self._ask(method, *arguments, seconds=seconds)
        except FormatError as error:
            _log.error("a shard refuses to work: %s", error)
            raise ServiceError("a shard of the bank cannot be read; try again later") from error
