"""Prometheus metrics of the service. No label names an account or an enrollment."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """Prometheus metrics of one app, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.uploads = Counter(
            "sfumato_uploads", "Decided uploads.", ["verdict"], registry=self.registry
        )
        self.faceless = Counter(
            "sfumato_faceless_uploads",
            "Uploads without a face, of a backbone that takes faces: only copies are looked for.",
            registry=self.registry,
        )
        self.ended = Counter(
            "sfumato_picture_processes_ended",
            "Processes that ended while they decoded a picture.",
            registry=self.registry,
        )
        self.admissions = Counter(
            "sfumato_admissions", "Checked enrollments.", ["status"], registry=self.registry
        )
        self.erasures = Counter("sfumato_erasures", "Erased enrollments.", registry=self.registry)
        self.erasing = Gauge(
            "sfumato_erasures_pending",
            "Erased enrollments of which the database's files still hold bytes.",
            registry=self.registry,
        )
        self.seconds = Histogram(
            "sfumato_decision_seconds",
            "From the image's bytes to share or block.",
            registry=self.registry,
        )
        self.bank = Gauge("sfumato_bank_size", "Enrollments that count.", registry=self.registry)

    def count_upload(self, *, blocked: bool, enforced: bool, faceless: bool) -> None:
        """Count a decision; `observed` is one that would have blocked and did not."""
        self.faceless.inc(faceless)
        verdict = ("block" if enforced else "observed") if blocked else "share"
        self.uploads.labels(verdict).inc()
