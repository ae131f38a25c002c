"""How far random views stray from a private picture, as public settings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from sfumato.errors import ConfigError

_ALIGNED: Final = ("face",)
"""Kinds of backbones whose preprocessing aligns what it finds."""


_FALL: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How far views stray from a picture, each uniformly at random, and how many there are.

    Many pictures hide each other: with more than `few` the ranges fall by the root of their
    number, since far views cost accuracy there.

    Raises:
        ConfigError: a value is out of its range.
    """

    rotation: float = 30.0
    """Degrees to either side."""
    zoom: float = 0.35
    """Up to 1 + zoom times larger or smaller, uniform in the logarithm."""
    move: float = 0.15
    """Share of the side, to either side, in both directions."""
    few: int = 30
    """Pictures up to which the ranges are as above."""
    most: int = 32
    """Views of each of a few pictures."""
    total: int = 2048
    """Views of many pictures together: each has fewer, and one at least."""

    def __post_init__(self) -> None:
        if not (0 <= self.rotation <= 180 and 0 <= self.zoom <= 1 and 0 <= self.move <= 0.5):
            raise ConfigError(
                "expected rotation in [0, 180], zoom in [0, 1] and move in [0, 0.5], "
                f"got {self.rotation}, {self.zoom} and {self.move}"
            )
        if min(self.few, self.most, self.total) < 1:
            raise ConfigError("expected few, most and total to be at least 1")

    def reach(self, count: int) -> float:
        """Return the share of the ranges that views of each of `count` pictures take."""
        return min(1.0, math.pow(self.few / max(1, count), _FALL))

    def views(self, count: int) -> int:
        """Return the number of views of each of `count` pictures."""
        return max(1, min(self.most, self.total // max(1, count)))

    @classmethod
    def aligned(cls) -> Augmentation:
        """Return the ranges for inputs that are aligned: their networks know no others."""
        return cls(rotation=9.0, zoom=0.09, move=0.05, most=8)

    @classmethod
    def suited(cls, kind: str) -> Augmentation:
        """Return the ranges for a backbone of that kind."""
        return cls.aligned() if kind in _ALIGNED else cls()
