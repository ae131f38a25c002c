"""Settings of the filter service, and the certificate that it serves HTTPS with."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sfumato.device import Device, parse_device
from sfumato.errors import ConfigError

MOST_MINUTES: Final = 7 * 24 * 60.0


@dataclass(frozen=True, slots=True)
class Tls:
    """A certificate with its chain, and its private key, both in PEM."""

    certificate: Path
    key: Path

    def check(self) -> None:
        """Raise a ConfigError where a file is missing or no PEM, or the key is another one's."""
        for field, path in (("tls_certificate", self.certificate), ("tls_key", self.key)):
            try:
                path.read_bytes()
            except OSError as error:
                raise ConfigError(f"`{field}`: cannot read {path}: {error.strerror}") from error
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate, self.key, password=_nobody_to_ask)
        except ssl.SSLError as error:
            raise ConfigError(
                f"expected in {self.certificate} a certificate and in {self.key} its own key, "
                f"both in PEM: {error.reason or error}"
            ) from error


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
    """Enrollments that one account may hold: quarantined ones, and for a week those that are gone,
    included."""
    flood: int = 500
    """Enrollments within an hour, from all accounts, after which more are quarantined."""
    answer_minutes: float = 30.0
    """Least time until an account sees whether an enrollment of it counts; twice it at most."""
    uploads_per_minute: int = 600
    """Uploads of one account; a sixth of it at once. A platform's uploader has no limit."""
    enrollments_per_minute: int = 60
    """Enrollments that one account may send; a sixth of it at once."""
    requests_per_minute: int = 600
    """Other requests of one account; a sixth of it at once."""
    shortlist: float | None = None
    """`reach` of a shortlist (`filter.bank.shortlist`), which leaves out enrollments that cannot
    match an upload; None scores all."""
    device: Device = "cpu"
    """Where enrollments are kept and scored; shards score theirs on the CPU."""
    workers: int | None = None
    """Processes that decode pictures and compute their features; None is one a core, and 0 does it
    in the service's own process. Fewer more take large ones."""
    tls: Tls | None = None
    """Certificate and key to serve HTTPS with; None serves HTTP."""
    body_seconds: float = 30.0
    """Time in which a request's body must have arrived."""
    concurrency: int = 64
    """Requests served at once; more are answered 503 so that memory stays bounded."""
    per_address: int | None = None
    """Those of one address; None is half of them, and all for a proxy on this machine."""

    def __post_init__(self) -> None:
        parse_device(self.device)
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"`port` must lie in 0..65535, got {self.port}")
        counts = (self.quota, self.concurrency, self.hidden, self.per_address)
        if any(count is not None and count < 1 for count in counts):
            raise ConfigError(
                "`hidden`, `quota`, `concurrency` and `per_address` must be at least 1"
            )
        rates = self.uploads_per_minute, self.enrollments_per_minute, self.requests_per_minute
        if min(self.flood, *rates) < 1:
            raise ConfigError(
                "`flood`, `uploads_per_minute`, `enrollments_per_minute` and "
                "`requests_per_minute` must be at least 1"
            )
        if self.shortlist is not None and not self.shortlist >= 0:
            raise ConfigError(f"`shortlist` must be at least 0, got {self.shortlist}")
        if not 0 <= self.answer_minutes <= MOST_MINUTES:
            raise ConfigError(
                f"`answer_minutes` must lie in 0..{MOST_MINUTES:g}, got {self.answer_minutes}"
            )
        if self.workers is not None and self.workers < 0:
            raise ConfigError(f"`workers` must be at least 0, got {self.workers}")
        if self.body_seconds <= 0:
            raise ConfigError(f"`body_seconds` must be positive, got {self.body_seconds}")


def _nobody_to_ask() -> str:
    # OpenSSL would ask on the terminal, and a service has none.
    raise ConfigError("`tls_key`: expected a key without a passphrase; keep it mode 0600")
