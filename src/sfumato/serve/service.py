"""The filter as the routes and the command line use it: database, bank in memory, decisions."""

from __future__ import annotations

import logging
import threading
import uuid
from dataclasses import dataclass
from typing import Any, Literal

import torch
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from sfumato.data.decode import ImageLimits, decode_image
from sfumato.errors import RequestError, ServiceError
from sfumato.features.backbone import Backbone
from sfumato.serve.admission import admit, readmit
from sfumato.serve.auth import Caller
from sfumato.serve.db import forget, open_database
from sfumato.serve.metrics import Metrics
from sfumato.serve.settings import ServeSettings
from sfumato.serve.state import BankState
from sfumato.serve.store import Entry, Store, Terms

_HIDDEN = 32  # the paper's M for ten classes
_log = logging.getLogger("sfumato.serve")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an uploader is told."""

    id: str
    decision: Literal["share", "block"]
    reason: str


class FilterService:
    """One bank, its database and its backbone. Safe to use from many threads.

    A change is first committed to the database and then made in memory, under one lock; what was
    acknowledged is therefore on disk, and what is on disk is in memory after the next start.
    """

    def __init__(
        self,
        *,
        store: Store,
        state: BankState,
        backbone: Backbone,
        backbone_file: bytes,
        settings: ServeSettings,
    ) -> None:
        self.store, self.state, self.settings = store, state, settings
        self.backbone, self.backbone_file = backbone, backbone_file
        self.metrics = Metrics()
        self.metrics.bank.set_function(lambda: len(state))
        self.image_limits = ImageLimits()
        self._changes = threading.Lock()

    @classmethod
    def open(cls, settings: ServeSettings) -> FilterService:
        """Open the database, and load every enrollment that counts.

        Raises:
            ConfigError, BankError, ArtifactError, StorageError: a part is missing or damaged.
        """
        backbone = Backbone.load(settings.backbone)
        store = Store(open_database(settings.database))
        known = store.terms()
        hidden = settings.hidden or (known.hidden if known else _HIDDEN)
        terms = Terms(backbone=backbone.fingerprint, dim=backbone.dim, hidden=hidden)
        store.settle(terms)
        forget(store.engine)  # a process killed while it erased may have left the log behind
        return cls(
            store=store,
            state=BankState.load(store, terms),
            backbone=backbone,
            backbone_file=backbone.to_bytes(),
            settings=settings,
        )

    def close(self) -> None:
        """Close the database."""
        self.store.engine.dispose()

    @property
    def enrollment_limit_bytes(self) -> int:
        """The size of an enrollment file of this bank, with room for its header."""
        return self.state.terms.limit_bytes

    def policy(self) -> dict[str, Any]:
        """Return what a device must know before it enrols."""
        terms = self.state.terms
        return {
            "backbone": terms.backbone,
            "dim": terms.dim,
            "hidden": terms.hidden,
            "quota": self.settings.quota,
            "enrollment_limit_bytes": self.enrollment_limit_bytes,
            "image_limit_bytes": self.image_limits.max_bytes,
        }

    def enroll(self, caller: Caller, content: bytes) -> Entry:
        """Check, screen, store and count an enrollment; sending it twice is sending it once.

        Raises:
            EnrollmentError: it is malformed, forged or for another backbone.
            RequestError: 409 somebody else enrolled it, 403 the account's quota is used up.
            StorageError: the disk is full; nothing was stored.
        """
        with self._changes:
            entry = admit(self.store, self.state, caller, content, quota=self.settings.quota)
        self.metrics.admissions.labels(entry.status).inc()
        return entry

    def erase(self, caller: Caller, enrollment_id: str) -> None:
        """Erase one of the caller's enrollments from memory and disk.

        Raises:
            RequestError: 404 the caller has no such enrollment.
        """
        with self._changes:
            found = self.store.find(enrollment_id)
            if found is None or found[0].account_id != caller.id:
                raise RequestError(404, f"you have no enrollment {enrollment_id[:40]!r}")
            self._forget(enrollment_id)
        self.metrics.erasures.inc()

    def moderate(self, enrollment_id: str, *, admit: bool) -> None:
        """Let a quarantined enrollment count from now on, or erase it.

        Raises:
            RequestError: 404 no such enrollment waits.
        """
        with self._changes:
            found = self.store.find(enrollment_id)
            if found is None or found[1].status != "quarantined":
                raise RequestError(404, f"no enrollment {enrollment_id[:40]!r} is quarantined")
            if admit:
                readmit(self.store, self.state, found[0])
            else:
                self._forget(enrollment_id)

    def decide(self, caller: Caller, content: bytes) -> Verdict:
        """Decide whether the caller may share an image. Neither it nor its features are kept.

        Raises:
            ImageError: the bytes are no picture, or a too large one.
        """
        with self.metrics.seconds.time():
            picture = decode_image(content, limits=self.image_limits)
            with torch.inference_mode():
                features = self.backbone(picture[None])
            decision, _ = self.state.decide(features, caller.id)
        verdict = Verdict(
            uuid.uuid4().hex, "block" if decision.blocked else "share", decision.reason
        )
        self.metrics.uploads.labels(verdict.decision).inc()
        _log.info("decision %s for account %d: %s", verdict.id, caller.id, verdict.decision)
        return verdict

    def check_ready(self) -> None:
        """Raise a ServiceError where the database does not answer."""
        try:
            with self.store.engine.connect() as connection:
                connection.execute(text("SELECT version FROM bank"))
        except DBAPIError as error:
            raise ServiceError("the database does not answer") from error

    def _forget(self, enrollment_id: str) -> None:
        try:
            self.store.erase(enrollment_id)
        finally:
            # Also where the disk failed after the row was gone: what is gone must not decide.
            if self.store.find(enrollment_id) is None:
                self.state.remove(enrollment_id)
