"""The filter service: its database, its bank, and what the routes ask of them."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any

from sqlalchemy import text

from sfumato.data.decoding.decode import ImageLimits
from sfumato.errors import RequestError, ServiceError, SfumatoError
from sfumato.features.backbone import Backbone
from sfumato.features.policy import Policy
from sfumato.filter.neardup import available
from sfumato.serve.bank.admission import Admission
from sfumato.serve.bank.eraser import Eraser
from sfumato.serve.bank.follow import Follower
from sfumato.serve.bank.interface import Deciding
from sfumato.serve.bank.limits import RateLimit
from sfumato.serve.bank.memory import BankState
from sfumato.serve.bank.metrics import Metrics
from sfumato.serve.bank.uploads import Uploads
from sfumato.serve.database.db import beside, open_database, reading
from sfumato.serve.database.errors import check_pages
from sfumato.serve.pictures.looking import Looking
from sfumato.serve.pictures.processes import open_looking
from sfumato.serve.records import erasures
from sfumato.serve.records.answers import answer_of
from sfumato.serve.records.auth import Account
from sfumato.serve.records.erasures import Erasure
from sfumato.serve.records.near_counts import Tally
from sfumato.serve.records.store import Entry, Store, Terms
from sfumato.serve.records.tokens import Tokens
from sfumato.serve.settings import ServeSettings
from sfumato.serve.waiting.lane import Lane
from sfumato.serve.wire import EnrollmentAnswer, Status, Unit, UploadAnswer

_LIMITS = ImageLimits()
_HIDDEN = 32  # the paper's M for ten classes
_CONNECTIONS = 14  # two for each thread that changes something, and two for the eraser
_ERASE_SECONDS = 2.0  # for which an answer waits until all bytes of an enrollment are gone
_log = logging.getLogger("sfumato.serve")

Load = Callable[[Store, Terms, Policy | None, ServeSettings], Deciding]
"""How the bank of a database is made ready to decide."""


def in_memory(
    store: Store, terms: Terms, policy: Policy | None, settings: ServeSettings
) -> Deciding:
    """Return the bank in this process."""
    return BankState.load(
        store, terms, policy=policy, reach=settings.shortlist, device=settings.device
    )


class FilterService:
    """One bank, its database and its backbone. Safe to use from many threads and processes.

    A change is first committed to the database and then made in memory, here before it is
    acknowledged and in other processes on the same database within a second (`Follower`).
    """

    def __init__(
        self,
        *,
        store: Store,
        state: Deciding,
        backbone: Backbone,
        backbone_file: bytes,
        settings: ServeSettings,
        looking: Looking,
        seen: int,
    ) -> None:
        self.store, self.state, self.settings = store, state, settings
        self.backbone, self.backbone_file = backbone, backbone_file
        self.metrics = Metrics()
        self.metrics.bank.set_function(self._size)
        self.image_limits = _LIMITS
        self.tokens = Tokens(store.engine, store.clock)
        self.tally = Tally(store.engine, self.policy_digest)
        self.uploads = Uploads(
            store=store,
            state=state,
            looking=looking,
            tally=self.tally,
            metrics=self.metrics,
        )
        self.follower = Follower(store, state, seen=seen, also=self.tally.keep)
        # Changes have threads and connections of their own: no upload waits for one.
        self.changing = Store(beside(store.engine, connections=_CONNECTIONS), store.clock)
        # Those that screen take long, and must not stand before the others.
        self.admissions = _lane("enroll", "enrollments", threads=2, waiting=16, each=2)
        self.readmissions = _lane("admit", "admissions", threads=1, waiting=16, each=8)
        self.changes = _lane("change", "changes", threads=3, waiting=48, each=8)
        self.eraser = Eraser(self.changing)
        self.admission = Admission(
            store=self.changing,
            state=state,
            follower=self.follower,
            quota=settings.quota,
            flood=settings.flood,
        )
        self.metrics.erasing.set_function(self._erasing)
        per_minute = (
            settings.uploads_per_minute,
            settings.enrollments_per_minute,
            settings.requests_per_minute,
        )
        self._upload_rate, self._enroll_rate, self._rate = (
            RateLimit(n, max(1, n // 6)) for n in per_minute
        )

    @classmethod
    def open(cls, settings: ServeSettings, load: Load = in_memory) -> FilterService:
        """Open the database, load every enrollment that counts, and follow what changes.

        `load` says where they are scored: in this process, if nothing else is given.

        Raises:
            ConfigError, BankError, ArtifactError, StorageError: a part is missing or damaged.
        """
        backbone = Backbone.load(settings.backbone)
        backbone_file = backbone.with_policy(None).to_bytes()
        with ExitStack() as undo:
            looking = open_looking(backbone, backbone_file, _LIMITS, workers=settings.workers)
            undo.callback(looking.close)  # it starts while the bank is loaded
            store = Store(open_database(settings.database))
            undo.callback(store.engine.dispose)
            check_pages(store.engine)
            terms = _fixed_terms(store, backbone, settings)
            seen = store.last_change()  # before the bank: a change that it has already does no harm
            state = load(store, terms, backbone.policy, settings)
            looking.wait()
            service = cls(
                store=store,
                state=state,
                backbone=backbone,
                backbone_file=backbone_file,
                settings=settings,
                looking=looking,
                seen=seen,
            )
            undo.pop_all()
        service.follower.start()
        service.eraser.start()
        return service

    def close(self) -> None:
        """Stop following, keep what was counted, and close the database."""
        for lane in (self.admissions, self.readmissions, self.changes):
            lane.close()
        self.eraser.stop()
        self.follower.stop()
        self.uploads.close()
        with suppress(SfumatoError):  # counts are worth no failure to stop
            self.tally.keep(now=True)
        self.changing.engine.dispose()
        self.store.engine.dispose()

    def count_request(self, account: Account) -> None:
        """Count a request of an account that has no limit of its own.

        Raises:
            RequestError: 429 it is one too many.
        """
        self._rate.check(account.id)

    @property
    def enrollment_limit_bytes(self) -> int:
        """The size of an enrollment file of this bank, with room for its header."""
        return self.state.terms.limit_bytes

    @property
    def policy(self) -> Policy | None:
        """The policy that the backbone file came with."""
        return self.backbone.policy

    @property
    def policy_digest(self) -> str:
        """Its digest, or '' where there is none."""
        return self.policy.digest if self.policy else ""

    @property
    def unit(self) -> Unit:
        """The unit of thresholds."""
        return "false_blocks" if self.policy else "alpha"

    def enrolling(self) -> dict[str, Any]:
        """Return what a device must know before it enrolls."""
        terms = self.state.terms
        return {
            "backbone": terms.backbone,
            "dim": terms.dim,
            "hidden": terms.hidden,
            "quota": self.settings.quota,
            "enrollment_limit_bytes": self.enrollment_limit_bytes,
            "image_limit_bytes": self.image_limits.max_bytes,
            "copies": available(),
        }

    def enroll(self, account: Account, content: bytes) -> Entry:
        """Check, screen, store and count an enrollment; sending it twice is sending it once.

        Raises:
            EnrollmentError: it is malformed, forged, contradicts itself or is for another backbone.
            RequestError: 409 somebody else enrolled it, 403 the account's quota is used up,
                429 it comes too soon after others.
            StorageError: the disk is full; nothing was stored.
        """
        self._enroll_rate.check(account.id)
        entry = self.admission.enroll(account, content)
        self._apply()
        self.metrics.admissions.labels(entry.status).inc()
        return entry

    def shown(self, entry: Entry) -> EnrollmentAnswer:
        """Return an enrollment as its account sees it now."""
        return answer_of(
            entry,
            seed=self.state.rules.seed,
            minutes=self.settings.answer_minutes,
            now=self.store.clock.now(),
        )

    def erase(self, account: Account, enrollment_id: str) -> Erasure | None:
        """Erase one of the account's enrollments. When this returns, it decides nothing.

        That it must go is then on record, and stays so until it is gone. Asking again changes
        nothing.

        Returns:
            None where no byte of it is left, else what the service still works on.

        Raises:
            RequestError: 404 the account never had such an enrollment.
        """
        entry = self.store.entry(enrollment_id)
        if entry is not None and entry.account == account.name:
            self._forget(enrollment_id, account)
            self.metrics.erasures.inc()
        elif erasures.erasure(self.store, account.id, enrollment_id) is None:
            raise RequestError(404, f"you have no enrollment {enrollment_id[:40]!r}")
        if self.eraser.settled(account.id, enrollment_id, seconds=_ERASE_SECONDS):
            return None
        return erasures.erasure(self.store, account.id, enrollment_id)

    def moderate(self, account: Account, enrollment_id: str, *, admit: bool) -> None:
        """Let a quarantined enrollment count from now on, or erase it.

        Raises:
            RequestError: 404 no such enrollment waits.
        """
        missing = RequestError(404, f"no enrollment {enrollment_id[:40]!r} is quarantined")
        entry = self.store.entry(enrollment_id)
        if entry is None or entry.status != "quarantined":
            raise missing
        if admit:
            self.admission.readmit(enrollment_id, actor=account.name)
            self._apply()
            return
        if not self._forget(enrollment_id, account, only="quarantined"):
            raise missing
        self.eraser.ask()

    def ask(
        self, account: Account, content: bytes, name: str | None = None
    ) -> Future[UploadAnswer]:
        """Decide whether the account may share an image; as `decide`, which waits for it.

        Raises:
            RequestError: 403 only an uploader names another account, 429 too many uploads.
        """
        if account.role != "uploader":
            self._upload_rate.check(account.id)
        return self.uploads.ask(account, content, name)

    def decide(self, account: Account, content: bytes, name: str | None = None) -> UploadAnswer:
        """Decide whether the account may share an image. The image and its features are not kept.

        An uploader gives the `name` of the account that it asks for. A name that nobody has owns
        nothing, and is answered alike.

        Raises:
            ImageError: the bytes are no picture, or a too large one.
            RequestError: 403 only an uploader names another account, 429 too many uploads, or too
                many large ones of this account, 503 of all.
        """
        return self.ask(account, content, name).result()

    def check_ready(self) -> None:
        """Raise a ServiceError where the database does not answer, or was not heard of lately.

        Also where no process runs that could decode a picture.
        """
        with reading(self.store.engine) as session:
            session.execute(text("SELECT id FROM bank"))
        self.follower.check_fresh()
        self.uploads.asking.looking.check()
        len(self.state)  # a bank on several machines can tell only where all of them answer

    def apply_rules(self) -> None:
        """Take over rules that were just changed, before that is acknowledged."""
        self._apply()

    def _erasing(self) -> float:
        try:
            return float(erasures.count(self.store.engine).pending)
        except SfumatoError:
            return math.nan

    def _size(self) -> float:
        try:
            return float(len(self.state))
        except ServiceError:
            return math.nan

    def _apply(self) -> None:
        # What is committed is kept whatever happens here: the follower tries again.
        try:
            self.follower.catch_up()
        except SfumatoError as error:
            _log.error("a change is stored, and not applied yet: %s", error)

    def _forget(self, enrollment_id: str, account: Account, only: Status | None = None) -> bool:
        try:
            return erasures.erase(self.changing, enrollment_id, actor=account.name, only=only)
        finally:
            # Also where the answer of the database got lost: what is gone must not decide.
            self._apply()


def _fixed_terms(store: Store, backbone: Backbone, settings: ServeSettings) -> Terms:
    known = store.terms()
    hidden = settings.hidden or (known.hidden if known else _HIDDEN)
    terms = Terms(backbone=backbone.fingerprint, dim=backbone.dim, hidden=hidden)
    store.fix_terms(terms)
    return terms


def _lane(name: str, what: str, *, threads: int, waiting: int, each: int) -> Lane:
    pool = ThreadPoolExecutor(threads, thread_name_prefix=f"sfumato-{name}")
    return Lane(pool, what=what, most=threads + waiting, each=each)
