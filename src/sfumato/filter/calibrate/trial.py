"""A trial of the rule: how many strangers a bank blocks, and how many pictures of its own people.

Everything that a bank of any size would decide follows from two matrices: the squared errors of
strangers' pictures, and of the enrolled people's new pictures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sfumato.data.order import random_order
from sfumato.filter.enrolled import EnrolledUsers, scores
from sfumato.filter.rule.calibration import Rarity, anchors, tail_dimension
from sfumato.filter.rule.guard import Sigmas, Unit
from sfumato.intervals import wilson_interval

TARGETS: Final = (0.002, 0.005, 0.01, 0.02, 0.05)
"""False-block rates that a table shows beside the one asked for."""
ALPHAS: Final = (1.0, 2.0, 3.0)
"""Thresholds of the paper's interval in the same table."""
BEYOND: Final = (1_000, 10_000, 1_000_000)
"""Bank sizes beyond the trial, to which the power law extends it."""
_DRAWS = 10  # banks of a small size, each of other enrollments

Values = Float[Tensor, "_ n"]
Rows = Int64[Tensor, " _"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What a bank of one size blocks at one threshold."""

    threshold: float
    """The promised share of strangers' pictures, or the paper's alpha."""
    strangers: float | None
    """Share of strangers' pictures that it blocks, each person counting the same; None beyond the
    trial's size."""
    interval: tuple[float, float] | None
    """95 % interval of that share over people, by Wilson."""
    enrolled: float | None
    """Share of new pictures of enrolled people that their own enrollment blocks; None where there
    are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What a bank of one size blocks."""

    enrollments: int
    extrapolated: bool
    calibrated: tuple[Rates, ...]
    paper: tuple[Rates, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strangers:
    """Features of strangers, in the three parts of `Parts`."""

    cohort: Float[Tensor, "c d"]
    fitting: Float[Tensor, "f d"]
    testing: Float[Tensor, "t d"]
    testers: Int64[Tensor, " t"]
    """The person that each testing picture shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploads:
    """Features of new pictures of enrolled people, and the enrollment of each one's person."""

    features: Float[Tensor, "u d"]
    enrollment: Int64[Tensor, " u"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What was measured."""

    dimension: float
    sizes: tuple[Size, ...]


def run_trial(
    users: EnrolledUsers,
    others: Strangers,
    uploads: Uploads | None,
    targets: Sequence[float],
    seed: int,
) -> Trial:
    """Measure banks of `users`, and of some of them, against strangers.

    Raises:
        DataError: strangers are too few to fit the tail.
    """
    anchor = anchors(scores(users.net, others.cohort))
    dimension = tail_dimension(anchor, scores(users.net, others.fitting))
    strange = scores(users.net, others.testing)
    own = None if uploads is None else scores(users.net, uploads.features)

    alone = Rarity(anchor, dimension, 1)  # in a bank of n all limits are log10 n lower
    calibrated = _Judged.by(alone, strange, own, others, uploads)
    paper = _Judged.by(Sigmas(users.mu, users.sigma), strange, own, others, uploads)
    sizes = []
    for size in _sizes(len(users)):
        banks = _banks(len(users), size, seed)
        sizes.append(
            Size(
                enrollments=size,
                extrapolated=not banks,
                calibrated=tuple(calibrated.rates(t, math.log10(t / size), banks) for t in targets),
                paper=tuple(paper.rates(alpha, alpha, banks) for alpha in ALPHAS),
            )
        )
    return Trial(dimension=dimension, sizes=tuple(sizes))


@dataclass(frozen=True, slots=True)
class _Judged:
    """How little a picture fits each enrollment, in the unit of one rule."""

    strange: Values
    own: Float[Tensor, " u"] | None
    """Of each new picture of an enrolled person, against that person's enrollment."""
    testers: Int64[Tensor, " t"]
    owners: Int64[Tensor, " u"] | None

    @classmethod
    def by(
        cls,
        unit: Unit,
        strange: Values,
        own: Values | None,
        others: Strangers,
        uploads: Uploads | None,
    ) -> _Judged:
        if own is None or uploads is None:
            return cls(unit(strange), None, others.testers, None)
        column = uploads.enrollment[:, None]
        found = unit(own).gather(1, column)[:, 0]
        return cls(unit(strange), found, others.testers, uploads.enrollment)

    def rates(self, threshold: float, limit: float, banks: Sequence[Rows]) -> Rates:
        """Return what is blocked up to a limit: no strangers are counted without a bank."""
        blocked = [(self.strange[:, bank].amin(1) <= limit).float() for bank in banks]
        strangers = _by_person(torch.stack(blocked).mean(0), self.testers) if blocked else None
        enrolled = None
        if self.own is not None and self.owners is not None:
            enrolled = _by_person((self.own <= limit).float(), self.owners)
        people = len(self.testers.unique())
        return Rates(
            threshold=threshold,
            strangers=strangers,
            interval=None if strangers is None else wilson_interval(strangers, people),
            enrolled=enrolled,
        )


def _by_person(values: Float[Tensor, " b"], people: Int64[Tensor, " b"]) -> float:
    """Return the mean over people of each one's mean."""
    _, place, counts = people.unique(return_inverse=True, return_counts=True)
    sums = torch.zeros(len(counts)).index_add_(0, place, values)
    return float((sums / counts).mean())


def _sizes(count: int) -> list[int]:
    """Return the powers of ten up to the trial's own size, that size, and those beyond."""
    tens = [10**power for power in range(len(str(count)))]
    return sorted({*tens, count}) + [size for size in BEYOND if size > count]


def _banks(count: int, size: int, seed: int) -> list[Rows]:
    """Return the enrollments of each bank of that size: disjoint ones, and none beyond `count`."""
    whole = random_order(count, seed).split(size)
    return [bank for bank in whole if len(bank) == size][:_DRAWS]
