"""The bank in memory with what the rule needs beside it: whose each column is, what is contested.

Changes come one at a time (`Follower` sees to that) and take the lock only for the moment in
which they are made, so that a reader never sees half of one. Scoring holds the lock too: one
matrix product already uses every core, and two at once would only share them. Uploads that come
meanwhile are scored together: a pass over the bank costs hardly more for 64 than for one.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Collection, Container, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from itertools import islice

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sfumato.device import Device
from sfumato.errors import BankError, EnrollmentError
from sfumato.features.policy import Policy
from sfumato.filter.bank.bank import Bank, BankScores
from sfumato.filter.bank.scoring import BATCH
from sfumato.filter.copies import Copies, Copy, count_near
from sfumato.filter.enrollment import Enrollment, open_enrollment
from sfumato.filter.rule.calibration import Rarity, anchors
from sfumato.filter.rule.front import Front
from sfumato.filter.rule.guard import Sigmas, Unit
from sfumato.filter.rule.screening import (
    CONTESTED,
    Comparison,
    Likeness,
    compare,
    pair_rows,
)
from sfumato.filter.rule.yielding import ClassScore, yields
from sfumato.serve.bank.beside import Beside
from sfumato.serve.bank.interface import Upload, deciding
from sfumato.serve.bank.relations import Relations, one_upload
from sfumato.serve.records.decisions import Match
from sfumato.serve.records.rules import Rules, read_rules
from sfumato.serve.records.shard_share import WHOLE, Share
from sfumato.serve.records.store import Store, Terms


class BankState:
    """All active enrollments, or a share of them; with a `reach` only a shortlist is scored.

    With a `policy` claims reach as far as its target of false blocks, and only an enrollment that
    came before another one overrides it. Else they reach to alpha sigmas, in whatever order.
    """

    def __init__(
        self,
        terms: Terms,
        share: Share = WHOLE,
        *,
        policy: Policy | None = None,
        reach: float | None = None,
        device: Device = "cpu",
    ) -> None:
        self.terms, self.share, self.policy = terms, share, policy
        self.bank = Bank.empty(
            terms.dim, terms.hidden, backbone=terms.backbone, reach=reach, device=device
        )
        self.accounts: dict[str, int] = {}
        self._arrivals: dict[str, int] = {}
        self._everybody: set[str] = set()
        self._anchors: dict[str, float] = {}
        self._contests: dict[tuple[str, str], Likeness] = {}
        self._rules = Rules()
        self._copies = Copies()
        self._relations: Relations | None = None
        self._lock = threading.Lock()
        self.most = BATCH
        """Features of one pass over the bank."""

    @classmethod
    def load(
        cls,
        store: Store,
        terms: Terms,
        share: Share = WHOLE,
        *,
        policy: Policy | None = None,
        reach: float | None = None,
        device: Device = "cpu",
    ) -> BankState:
        """Return the bank, or a share of it, as the database has it.

        Raises:
            BankError: a stored enrollment is damaged.
            UnavailableError: this machine has no such device.
        """
        state = cls(terms, share, policy=policy, reach=reach, device=device)
        known = store.anchors(policy.digest) if policy else {}
        state._anchors.update(known)
        state._everybody.update(store.active_ids())
        with closing(store.active(share)) as rows:
            for stored in rows:
                try:
                    enrollment = open_enrollment(stored.content).enrollment
                except EnrollmentError as error:
                    raise damaged(stored.id, error) from error
                state.add(stored.id, enrollment, stored.account_id, arrival=stored.arrival)
        if policy:
            store.keep_anchors(policy.digest, state.anchors_but(known))
        state._contests = _keyed(store.contests())
        state.rules = read_rules(store)
        return state

    def __len__(self) -> int:
        return len(self.accounts)

    def add(
        self,
        name: str,
        enrollment: Enrollment,
        account_id: int,
        contests: Iterable[Likeness] = (),
        *,
        arrival: int,
    ) -> None:
        """Let an enrollment count, with the contested pairs that it is in; once is enough.

        `arrival` is its place in the order in which all came, quarantined ones included.
        Of an enrollment of another share only the pairs are kept: it may not override some here.
        """
        with self._lock:
            self._everybody.add(name)
            if self.share.holds(name) and name not in self.accounts:
                self.bank.add(name, enrollment)
                self.accounts[name], self._arrivals[name] = account_id, arrival
                if self.policy is not None and name not in self._anchors:
                    errors = self.bank.errors(self.policy.cohort, [name])
                    self._anchors[name] = float(anchors(errors))
                if enrollment.copies is not None:
                    self._copies.add(name, enrollment.copies.clone())
            self._contests |= _keyed(contests)
            self._relations = None

    def remove(self, name: str) -> None:
        """Forget an enrollment; one that does not count is forgotten already."""
        with self._lock:
            self._contests = {k: p for k, p in self._contests.items() if name not in k}
            self._relations = None
            self._everybody.discard(name)
            self._anchors.pop(name, None)
            self._arrivals.pop(name, None)
            if self.accounts.pop(name, None) is None:
                return
            self.bank.remove(name)
            self._copies.remove(name)

    def anchors_but(self, known: Container[str]) -> dict[str, float]:
        """Return the anchors of this share's enrollments that are not `known`."""
        with self._lock:
            return {n: self._anchors[n] for n in self.accounts if n not in known}

    @property
    def asks_hashes(self) -> bool:
        """Whether any enrollment claims near copies."""
        return len(self._copies) > 0

    def find_copy(
        self, hashes: UInt8[Tensor, "v 32"], account_id: int, now: datetime
    ) -> Copy | None:
        """Return the enrolled picture that a picture is a copy of, unless it is the uploader's."""
        found = self.first_copy(hashes, now)
        return None if found is None or found[1] == account_id else found[0]

    def first_copy(self, hashes: UInt8[Tensor, "v 32"], now: datetime) -> tuple[Copy, int] | None:
        """Return the first enrolled picture that one of these is near to, and whose account's."""
        with self._lock:
            found = self._copies.first(hashes, lambda name: self._threshold(name, now) > -torch.inf)
            return None if found is None else (found, self.accounts[found.enrollment])

    def copy_yields(
        self, enrollment: str, features: Float[Tensor, "1 d"], account_id: int, now: datetime
    ) -> bool:
        """Return whether a near copy of somebody's does not stand against an account."""
        scores = self.class_scores(enrollment, features, account_id, now)
        return yields(enrollment, scores, self._contests)

    def class_scores(
        self, enrollment: str, features: Float[Tensor, "1 d"], account_id: int, now: datetime
    ) -> list[ClassScore]:
        """Return what an enrollment and those of an account say of a picture, of those here."""
        with self._lock:
            own = [name for name, account in self.accounts.items() if account == account_id]
            asked = [name for name in (enrollment, *own) if name in self.accounts]
            scores = self.bank.score(features, asked)
            related = self._related(now).at(scores.rows)
        claimed = (related.unit(scores.errors) <= related.alpha)[0].tolist()
        rows = zip(scores.ids, scores.errors[0].tolist(), claimed, strict=True)
        return [ClassScore(*row) for row in rows]

    @property
    def rules(self) -> Rules:
        """What a moderator set."""
        return self._rules

    @rules.setter
    def rules(self, rules: Rules) -> None:
        with self._lock:
            self._rules, self._relations = rules, None

    def decide(self, features: Float[Tensor, "n d"], account_id: int, now: datetime) -> Match:
        """Decide one upload by the default rule on each of its pictures."""
        return self.decide_each([Upload(features, account_id, now)])[0]

    def decide_each(self, uploads: Sequence[Upload]) -> list[Match]:
        """Decide uploads by the default rule on each of their pictures."""
        asked = [replace(one, features=row[None]) for one in uploads for row in one.features]
        parts = (asked[start : start + self.most] for start in range(0, len(asked), self.most))
        found = (match for part in parts for match in self._decide_all(part))
        return [deciding(islice(found, len(one.features))) for one in uploads]

    def _decide_all(self, uploads: Sequence[Upload]) -> list[Match]:
        scores, related = self._scored(uploads)
        return [
            related.decided(one_upload(scores, row), upload.account_id)
            for row, upload in enumerate(uploads)
        ]

    def _threshold(self, name: str, now: datetime) -> float:
        """Return how far an enrollment's claim reaches, in sigmas; a few are asked for, not all."""
        return float(self._related(now).alpha[self.bank.ids.index(name)])

    def fronts(self, uploads: Sequence[Upload]) -> list[Front]:
        """Return this share's front for each upload."""
        scores, related = self._scored(uploads)
        pairs = tuple(self._contests)
        return [
            related.front(one_upload(scores, row), upload.account_id, pairs)
            for row, upload in enumerate(uploads)
        ]

    def screen(
        self,
        name: str,
        enrollment: Enrollment,
        account_id: int,
        among: Collection[str] | None = None,
    ) -> Comparison:
        """Compare a newcomer, which does not count yet, with everybody else's enrollments.

        With `among` only with those. Others may come and go meanwhile: nothing is held still.
        """
        # A newcomer who could foresee the samples could be trained to fail on them.
        return self.compare(name, enrollment, account_id, secrets.randbits(32), among)

    def compare(
        self,
        name: str,
        enrollment: Enrollment,
        account_id: int,
        seed: int,
        among: Collection[str] | None = None,
    ) -> Comparison:
        """Return what screening a newcomer finds in this share; samples are drawn from `seed`."""
        with self._lock:
            own = [known for known, account in self.accounts.items() if account == account_id]
            beside = Beside(self.bank, name, enrollment)
            copies = enrollment.copies
            theirs = None if copies is None else self._copies.of_others(set(own), among)
        contested = CONTESTED if self.policy is None else self.policy.contested
        found = compare(name, beside, seed=seed, contested=contested, own=own, among=among)
        if copies is None or theirs is None:
            return found
        return replace(found, copied=count_near(copies, theirs))

    def _scored(self, uploads: Sequence[Upload]) -> tuple[BankScores, Relations]:
        with self._lock:
            related = self._related(max(upload.now for upload in uploads))
            # The uploaders' own are always scored: they may override a claim.
            own = related.owned(upload.account_id for upload in uploads)
            features = torch.cat([upload.features for upload in uploads])
            scores = self.bank.score_near(features, limits=related.limits, always=own)
        if len(scores.rows) < len(related.accounts):
            related = related.at(scores.rows)
        return scores, related

    def _related(self, now: datetime) -> Relations:
        known = self._relations
        if known is None or (known.until is not None and known.until <= now):
            names = self.bank.ids
            accounts = [self.accounts[name] for name in names]
            known = Relations(
                torch.tensor(accounts, dtype=torch.int64),
                pair_rows(self._contests.values(), names),
                self._rules.thresholds(names, accounts, now, self.policy),
                self._unit(names),
                self._arrived(names),
                self._rules.changes_after(now),
            )
            self._relations = known
        return known

    def _unit(self, names: Sequence[str]) -> Unit:
        if self.policy is None:
            return Sigmas(self.bank.mu, self.bank.sigma)
        found = torch.tensor([self._anchors[name] for name in names])
        return Rarity(found, self.policy.dimension, len(self._everybody))

    def _arrived(self, names: Sequence[str]) -> Float[Tensor, " n"] | None:
        if self.policy is None:
            return None
        return torch.tensor([self._arrivals[name] for name in names], dtype=torch.float64)


def damaged(enrollment_id: str, error: EnrollmentError) -> BankError:
    """Return the error for an enrollment that the database does not hold as it came."""
    return BankError(
        f"enrollment {enrollment_id} in the database is damaged ({error}); "
        "restore a backup of the database"
    )


def _keyed(pairs: Iterable[Likeness]) -> dict[tuple[str, str], Likeness]:
    return {(pair.overrider, pair.claimant): pair for pair in pairs}
