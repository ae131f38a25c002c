"""Below which likeness two enrollments are contested: as high as honest people's are not.

Screening lets no enrollment override the claims of one that it is too like (`rule.screening`). An
attacker's is like the victim's. So may two honest people's be, where an extractor tells people
apart badly, and then each of them is blocked on pictures that the other one's enrollment claims.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.device import Device
from sfumato.filter.enrolled import EnrolledUsers, scores
from sfumato.filter.oneclass import OneClass, OneClassConfig, Rows, train
from sfumato.filter.rule.screening import CONTESTED, SAMPLES

PAIRS: Final = 0.001
"""Share of the pairs of honest people that may be contested."""
PEOPLE: Final = 0.01
"""Share of honest people that may be in a contested pair."""
_MOST = 200  # people whose pairs are measured: 39,800 pairs
_STEP = 1000  # a threshold is a whole number of thousandths

Likeness = Float[Tensor, "overrider claimant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Honesty:
    """The threshold, and what it does to honest people and to attackers."""

    contested: float
    honest: float
    """Share of the honest people that are in a contested pair."""
    attackers: float
    """Share of simulated attackers, trained on own and all stolen pictures, that it finds."""


def measure_honesty(
    users: EnrolledUsers,
    taught: Sequence[Rows],
    config: OneClassConfig,
    *,
    seed: int,
    device: Device = "cpu",
) -> Honesty:
    """Choose the threshold by honest people alone, then try it on attackers.

    `taught` is what each of them was trained on: features of pictures, or of views of pictures.
    """
    count = min(len(users), _MOST)
    samples = users.samples(SAMPLES, seed=seed)[:count]
    honest = _likeness(users.net, samples, users.mu)[:count]
    contested = choose_contested(honest)
    victims = [(i + 1) % count for i in range(count)]
    stolen = [torch.cat([taught[i], taught[v]]) for i, v in enumerate(victims)]
    attackers = _likeness(train(stolen, config, seed=seed, device=device).cpu(), samples, users.mu)
    found = attackers[torch.arange(count), victims] < contested
    return Honesty(
        contested=contested,
        honest=float((_others(honest) < contested).any(1).float().mean()),
        attackers=float(found.float().mean()),
    )


def choose_contested(likeness: Float[Tensor, "n n"]) -> float:
    """Return the largest threshold up to `CONTESTED` that spares honest people.

    At most `PAIRS` of their pairs lie below it, and at most `PEOPLE` of them override in such a
    pair. The diagonal, everybody against themselves, does not count.
    """
    pairs = _others(likeness)
    every, nearest = pairs.flatten().sort().values, pairs.amin(1).sort().values
    most = min(
        CONTESTED, float(every[int(PAIRS * len(every))]), float(nearest[int(PEOPLE * len(nearest))])
    )
    return math.floor(_STEP * most) / _STEP


def _others(likeness: Float[Tensor, "n n"]) -> Float[Tensor, "n m"]:
    """Return each row without the entry on the diagonal."""
    count = len(likeness)
    return likeness[~torch.eye(count, dtype=torch.bool)].view(count, count - 1)


def _likeness(
    net: OneClass, samples: Float[Tensor, "claimant s d"], mu: Float[Tensor, " _"]
) -> Likeness:
    """Return the mean error of each network on each claimant's samples, in units of its mu."""
    columns = [scores(net, own).mean(0) / m for own, m in zip(samples, mu, strict=False)]
    return torch.stack(columns, 1)
