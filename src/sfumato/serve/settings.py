"""Settings of the filter service."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sfumato.errors import ConfigError
from sfumato.serve.tls import Tls


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """What one service process runs with."""

    backbone: Path
    """The provider's public backbone file; every enrollment must be made with it."""
    database: str = "sfumato.db"
    """A SQLite file, sqlite:///FILE or postgresql://USER@HOST/NAME: where everything is kept."""
    host: str = "127.0.0.1"
    """Address to listen on; anything but loopback needs TLS, here or by a proxy in front."""
    port: int = 8080
    """TCP port; 0 takes a free one and prints it."""
    hidden: int | None = None
    """M, the width of every enrollment's code; None takes the database's, 32 where it is new."""
    quota: int = 20
    """Enrollments that one account may hold, quarantined ones included."""
    flood: int = 500
    """Enrollments within an hour, from all accounts, after which more are quarantined."""
    uploads_per_minute: int = 600
    """Uploads of one account; a sixth of it at once. A platform's uploader has no limit."""
    enrollments_per_minute: int = 60
    """Enrollments that one account may send; a sixth of it at once."""
    shortlist: float | None = None
    """Reach of a shortlist (`filter.shortlist`): score only who may claim an upload; None all."""
    tls: Tls | None = None
    """Certificate and key to serve HTTPS with; None serves HTTP."""
    body_seconds: float = 30.0
    """Time in which a request's body must have arrived."""
    concurrency: int = 64
    """Requests served at once; more are answered 503 so that memory stays bounded."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"`port` must lie in 0..65535, got {self.port}")
        if min(self.hidden or 1, self.quota, self.concurrency) < 1 or self.hidden == 0:
            raise ConfigError("`hidden`, `quota` and `concurrency` must be at least 1")
        if min(self.flood, self.uploads_per_minute, self.enrollments_per_minute) < 1:
            raise ConfigError(
                "`flood`, `uploads_per_minute` and `enrollments_per_minute` must be at least 1"
            )
        if self.shortlist is not None and not self.shortlist >= 0:
            raise ConfigError(f"`shortlist` must be at least 0, got {self.shortlist}")
        if self.body_seconds <= 0:
            raise ConfigError(f"`body_seconds` must be positive, got {self.body_seconds}")
