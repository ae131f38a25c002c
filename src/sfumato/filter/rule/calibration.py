"""How rare an error is among strangers: one unit for every enrollment, and for banks of any size.

An enrollment's squared error, eq. (6), on pictures of strangers has a lower tail. Near the data of
one class the share of strangers falls as a power of the error (Hill 1975; the power is the local
intrinsic dimension of Amsaleg et al. 2015). With the error that `LEVEL` of the public pictures stay
below, the enrollment's `anchor`, the share of strangers with an error of at most x is

    q(x) = LEVEL (x / anchor) ^ dimension.

The dimension is common to all enrollments of a backbone: a few public pictures fix an anchor, and
only many enrollments together fix the tail below it. N enrollments match a stranger's picture as
well as that in a share of at most N q of all pictures (the union bound: nothing is assumed about
how their claims go together). A bank that blocks where N q is at most its target therefore has a
false-block rate of at most the target at any size, as far as the power law holds. No enrollment
claims more than `LEVEL` of the strangers, whatever the target of a small bank.

`Rarity` is log10 N q: -2 says that one stranger's picture in a hundred matches as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sfumato.errors import DataError

Errors = Float[Tensor, "b n"]
PerEnrollment = Float[Tensor, " n"]

LEVEL: Final = 0.01
"""Share of the public pictures whose errors an anchor is above.

Of 0.3, 0.5, 1, 2, 5 and 25 % it kept the promised rate best on unseen people (0.8 to 1.3 % at a
target of 1 %, with 10, 100 and 900 people of LFW), and blocked as much as any that did.
"""
_LEAST = 1e-30  # an error of exactly 0 has no logarithm
_FEW: Final = 20
"""Errors that the tail is fitted to at least: a bank of few enrollments has few below an anchor."""


def anchors(cohort: Float[Tensor, "p n"]) -> PerEnrollment:
    """Return each enrollment's anchor from its errors on p public pictures."""
    place = LEVEL * (len(cohort) - 1)
    # Not `torch.quantile`: it sorts every column whole, and refuses more than 2^24 errors.
    lowest = cohort.topk(math.floor(place) + 2, dim=0, largest=False).values.sort(dim=0).values
    return lowest[-2].lerp(lowest[-1], place - math.floor(place)).clamp(min=_LEAST)


def tail_dimension(anchor: PerEnrollment, errors: Float[Tensor, "p n"]) -> float:
    """Return the power of the common tail, by Hill's estimator over all enrollments.

    The tail is what lies below an anchor, or the `_FEW` errors that are lowest of their anchor
    where that is fewer: it then ends at the next error.

    `errors` are on other public pictures than those of the anchors.

    Raises:
        DataError: there are not more errors than that, or all in the tail are equal.
    """
    ratios = errors.clamp(min=_LEAST) / anchor
    ratios = ratios[ratios.isfinite()]  # flat
    if len(ratios) <= _FEW:
        raise DataError(
            f"expected more than {_FEW} errors to fit the tail, got {len(ratios)}; "
            "give more public pictures"
        )
    lowest = ratios.topk(_FEW + 1, largest=False).values.sort().values
    end = lowest[-1].clamp(min=1)
    tail = (ratios[ratios < end] / end).log()
    if len(tail) < 2:
        raise DataError(
            "expected public pictures of different errors to fit the tail, got equal ones; "
            "give other public pictures"
        )
    # Of a power law, one less than their number makes it unbiased.
    return (len(tail) - 1) / -float(tail.sum())


@dataclass(frozen=True, slots=True)
class Rarity:
    """The unit of a calibrated bank: log10 of the share of strangers' pictures that it matches so.

    `size` is the number of enrollments of the whole bank, also where `anchor` is of a part of it.
    """

    anchor: PerEnrollment
    dimension: float
    size: int

    def __call__(self, errors: Errors) -> Errors:
        """Return log10 N q of every error."""
        ratios = errors.clamp(min=_LEAST) / self.anchor
        found: Tensor = ratios.log10() * self.dimension + self._at_anchor
        # The law is one of the tail: above the anchor nothing is rare, 10^0 or more.
        found = torch.where(ratios > 1, found - min(self._at_anchor, 0), found)
        # An autoencoder whose numbers overflow has only infinite errors: it claims nothing.
        return found.nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf)

    def limits(self, alpha: float | PerEnrollment) -> PerEnrollment:
        """Return the largest error of each enrollment that is this rare (`alpha` is below 0).

        It is at most the anchor, and -1 for minus infinity.
        """
        rare = torch.as_tensor(alpha, dtype=self.anchor.dtype)
        ratios = 10 ** ((rare - self._at_anchor) / self.dimension)
        found: Tensor = self.anchor * ratios.clamp(max=1)
        return found.masked_fill(rare.isneginf(), -1.0)

    def at(self, rows: Int64[Tensor, " k"]) -> Rarity:
        """Return the unit of these enrollments alone, in that order."""
        return Rarity(self.anchor[rows], self.dimension, self.size)

    @property
    def _at_anchor(self) -> float:
        return math.log10(LEVEL * max(self.size, 1))
