"""Limits of the filter service, of which `filter serve` makes its options."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from sfumato.config import Presets, check_settings, setting
from sfumato.errors import ConfigError

LAST_PORT: Final = 65_535
MOST_MINUTES: Final = 7 * 24 * 60.0
_MOST: Final = 10**9  # fits every column of a database
_WORKERS_A_CORE: Final = 8
_PANEL: Final = "Limits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Presets):
    """How much the filter service keeps and answers.

    Raises:
        ConfigError: a value is out of its range.
    """

    hidden: int | None = setting(
        None,
        "M of every enrollment; the database's, 32 where new.",
        least=1,
        most=1 << 16,
        panel=_PANEL,
    )
    quota: int = setting(
        20,
        "Enrollments of one account, with those gone within a week.",
        least=1,
        most=_MOST,
        panel=_PANEL,
    )
    """Quarantined ones included."""
    flood: int = setting(
        500,
        "Enrollments in an hour, from all accounts, after which more are quarantined.",
        least=1,
        most=_MOST,
        panel=_PANEL,
    )
    answer_minutes: float = setting(
        30.0,
        "Least time until an account sees whether what it enrolled counts; twice it at most.",
        least=0,
        most=MOST_MINUTES,
        panel=_PANEL,
    )
    uploads_per_minute: int = setting(
        600,
        "Uploads of one account in a minute; a platform's uploader has no limit.",
        least=1,
        most=_MOST,
        panel=_PANEL,
        flag="uploads",
    )
    """A sixth of it at once; so of the other two."""
    enrollments_per_minute: int = setting(
        60,
        "Enrollments of one account in a minute.",
        least=1,
        most=_MOST,
        panel=_PANEL,
        flag="enrollments",
    )
    requests_per_minute: int = setting(
        600,
        "Other requests of one account in a minute.",
        least=1,
        most=_MOST,
        panel=_PANEL,
        flag="requests",
    )
    workers: int | None = setting(
        None,
        "Processes that decode pictures; one a core by default, 0 is the service's own.",
        least=0,
        panel=_PANEL,
    )
    """Fewer more take large ones."""
    concurrency: int = setting(
        64,
        "Requests served at once; more are answered 503, so that memory stays bounded.",
        least=1,
        most=_MOST,
        panel=_PANEL,
    )
    per_address: int | None = setting(
        None,
        "Those of one address; half of all by default, and for a proxy on this machine no limit.",
        least=1,
        most=_MOST,
        panel=_PANEL,
    )
    body_seconds: float = setting(
        30.0,
        "Seconds in which a request's body must have arrived.",
        above=0,
        most=3600,
        panel=_PANEL,
    )

    def __post_init__(self) -> None:
        check_settings(self)
        check_workers(self.workers)


def check_workers(workers: int | None) -> None:
    """Raise a ConfigError where there would be more processes that decode than cores can feed."""
    most = _WORKERS_A_CORE * (os.cpu_count() or 1)
    if workers is not None and workers > most:
        raise ConfigError(
            f"`workers` must be at most {_WORKERS_A_CORE} a core, which is {most} here, "
            f"got {workers}: more of them take memory and no less time"
        )
