"""Which enrollments one shard of a bank holds: told from the id alone, so that nobody keeps a list.

An id is the beginning of a hash, so the parts are of one size. An adversary who grinds for ids
fills a shard by no more than the quotas allow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sfumato.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Part:
    """Part `index` of `count`; the default is the whole bank.

    Raises:
        ConfigError: there is no such part.
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ConfigError(f"expected a part from 0 to {self.count - 1}, got {self.index}")

    def holds(self, enrollment_id: str) -> bool:
        """Say whether this part holds the enrollment."""
        return self.count == 1 or int(enrollment_id[:8], 16) % self.count == self.index


WHOLE: Final = Part()
