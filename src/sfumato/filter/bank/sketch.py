"""Short forms of points whose distances are at most those of the points themselves.

A point m of D numbers becomes k: its coordinates along k - 1 orthonormal directions, and how far it
lies from what they span. Two points are at least as far apart as their sketches: along the
directions by Pythagoras, beside them by the triangle inequality. So what a sketch rules out is out,
and only the rest has to be measured. Rounding is allowed for by `SLACK`.

There are two in one: a short sketch, and the numbers that make it a longer one. Both have the
length of m - centre, so that one bound holds for the products of either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

NUMBERS: Final = 32
"""k of the short one. With fewer, more is left; with more, more memory is read."""
MORE: Final = 32
"""Directions that the longer one has besides. Of points that vary as features of faces do it leaves
a tenth of what the short one leaves."""
SLACK: Final = 2.0**-10
"""Share of the squares by which a bound gives way. Float32 sums of D squares are off by D 2^-24."""
_DIRECTIONS: Final = NUMBERS - 1 + MORE
_STEPS: Final = 6
_ALIVE: Final = 1e-9  # a start that the points do not touch must not become nought


@dataclass(frozen=True, slots=True)
class Sketch:
    """One way to sketch: the same for all points that are compared."""

    centre: Float[Tensor, " d"]
    directions: Float[Tensor, "k1 d"]
    """Orthonormal rows; the short sketch has the first ones."""

    @classmethod
    def plain(cls, dim: int) -> Sketch:
        """Return the sketch by the first coordinates, for points in [0, 1]."""
        return cls(torch.full((dim,), 0.5), torch.eye(min(_DIRECTIONS, dim), dim))

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
        width = min(_DIRECTIONS, points.shape[1])
        found = torch.eye(points.shape[1], width, dtype=torch.float64)
        for _ in range(_STEPS):
            found = torch.linalg.qr(spread.T @ (spread @ found) + _ALIVE * found).Q
        return cls(centre.float(), found.T.float().contiguous())

    @property
    def short(self) -> int:
        """How many numbers the short sketch has: the first ones."""
        return min(NUMBERS - 1, len(self.directions)) + 1

    @property
    def size(self) -> int:
        """How many numbers both have together; no more than the short one if it spans all."""
        more = len(self.directions) + 1 - self.short
        return self.short + (more + 1 if more else 0)

    def __call__(self, points: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """Return the sketches of some points: the short ones, further coordinates, what is left."""
        moved = points - self.centre
        along = moved @ self.directions.T
        beside = torch.linalg.vector_norm(moved - along @ self.directions, dim=1, keepdim=True)
        first, further = along[:, : self.short - 1], along[:, self.short - 1 :]
        if not further.shape[1]:
            return torch.cat([first, beside], 1)
        rest = torch.linalg.vector_norm(torch.cat([further, beside], 1), dim=1, keepdim=True)
        return torch.cat([first, rest, further, beside], 1)

    def longer(self, sketches: Float[Tensor, "n k"]) -> Float[Tensor, "n k2"]:
        """Return what to multiply a sketch's numbers from the last short one on by.

        Added to the product of the short sketches it gives that of the longer ones.
        """
        own = sketches[:, self.short - 1 :].clone()
        own[:, 0] = -own[:, 0]
        return own
