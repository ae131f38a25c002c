"""Which enrollments one shard of a bank holds. The id alone decides it, so no list is kept.

An id is the beginning of a hash, so all shares have about one size. An adversary who searches for
ids that fall into one share can add no more enrollments to it than the quotas allow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sfumato.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Share:
    """Share `index` of `count`; the default is the whole bank.

    Raises:
        ConfigError: the index is not in 0..count - 1.
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ConfigError(f"expected a share from 0 to {self.count - 1}, got {self.index}")

    def holds(self, enrollment_id: str) -> bool:
        """Return whether the enrollment is in this share."""
        return self.count == 1 or int(enrollment_id[:8], 16) % self.count == self.index


WHOLE: Final = Share()
