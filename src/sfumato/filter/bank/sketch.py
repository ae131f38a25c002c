"""Short forms of points whose distances are at most those of the points themselves.

A point m of D numbers becomes k: its coordinates along k - 1 orthonormal directions, and how far it
lies from what they span. Two points are at least as far apart as their sketches: along the
directions by Pythagoras, beside them by the triangle inequality. So what a sketch rules out is out,
and only the rest has to be measured. Rounding is allowed for by `SLACK`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

NUMBERS: Final = 32
"""k. With fewer, more is left to be measured; with more, more memory is read."""
SLACK: Final = 2.0**-10
"""Share of the squares by which a bound gives way. Float32 sums of D squares are off by D 2^-24."""
_STEPS: Final = 6
_ALIVE: Final = 1e-9  # a start that the points do not touch must not become nought


@dataclass(frozen=True, slots=True)
class Sketch:
    """One way to sketch: the same for all points that are compared."""

    centre: Float[Tensor, " d"]
    directions: Float[Tensor, "k1 d"]
    """Orthonormal rows."""

    @classmethod
    def plain(cls, dim: int) -> Sketch:
        """Return the sketch by the first coordinates, for points in [0, 1]."""
        return cls(torch.full((dim,), 0.5), torch.eye(min(NUMBERS - 1, dim), dim))

    @classmethod
    def fitted(cls, points: Float[Tensor, "n d"]) -> Sketch:
        """Return the sketch by the directions in which some points vary most."""
        usable = points[points.isfinite().all(1)].double()
        if len(usable) < 2:
            return cls.plain(points.shape[1])
        centre = usable.mean(0)
        spread = usable - centre
        # A few steps of subspace iteration: all eigenvectors of 2,048 dimensions take seconds. They
        # need not be exact, as any orthonormal directions will do.
        width = min(NUMBERS - 1, points.shape[1])
        found = torch.eye(points.shape[1], width, dtype=torch.float64)
        for _ in range(_STEPS):
            found = torch.linalg.qr(spread.T @ (spread @ found) + _ALIVE * found).Q
        return cls(centre.float(), found.T.float().contiguous())

    @property
    def size(self) -> int:
        """How many numbers a sketch has."""
        return len(self.directions) + 1

    def __call__(self, points: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """Return the sketches of some points."""
        moved = points - self.centre
        along = moved @ self.directions.T
        beside = torch.linalg.vector_norm(moved - along @ self.directions, dim=1, keepdim=True)
        return torch.cat([along, beside], 1)
