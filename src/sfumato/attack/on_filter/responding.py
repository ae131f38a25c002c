"""The best response: for each victim an adversary takes the kind of attack that works on them.

A mean over victims of one kind of attack hides those victims on whom that kind works. An adversary
tries several kinds on stolen pictures that it held out of its training, and takes the one that gets
most of them shared. The bound is an adversary that knew which kind would get most of the victim's
new pictures shared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

Shares = Float[Tensor, "kinds pairs"]
_WELL = 0.9  # of stolen pictures blocked
_TIE = 1e-3  # less than one of a thousand held-out pictures


@dataclass(frozen=True, slots=True, kw_only=True)
class BestResponse:
    """What adversaries get who choose their kind of attack for each victim."""

    blocked: float
    """Share of stolen pictures that were blocked, the mean over pairs of adversary and victim."""
    worst: float
    """That share of the pair where it is smallest."""
    under_90: float
    """Share of pairs of which less than 90 % was blocked."""
    matrix: tuple[tuple[float, ...], ...]
    """Blocked by adversary and victim; -1 where the pair was not tried."""
    kinds: Mapping[str, int]
    """How many pairs took which kind."""


def hold_out(stolen: Float[Tensor, "n d"]) -> tuple[Float[Tensor, "_ d"], Float[Tensor, "_ d"]]:
    """Return the stolen pictures to train on, and the last fifth, to choose the kind of attack."""
    held = max(1, len(stolen) // 5)
    return stolen[:-held], stolen[-held:]


def chosen(tried: Shares) -> Int64[Tensor, " pairs"]:
    """Return the kind that each adversary takes, by the share of held-out pictures shared.

    Of kinds that do as well, the one that does better on all victims is taken.
    """
    return (tried + _TIE * tried.mean(1, keepdim=True)).argmax(0)


def response(
    shared: Shares,
    kinds: Int64[Tensor, " pairs"],
    pairs: Sequence[tuple[int, int]],
    names: Sequence[str],
    users: int,
) -> BestResponse:
    """Return what adversaries reach who take these kinds.

    Args:
        shared: Share of each victim's new pictures that each kind gets shared.
        kinds: Number of the kind that each pair takes.
        pairs: (adversary, victim), indices of users.
        names: The kinds' names.
        users: Number of users, the matrix's size.
    """
    blocked = 1 - taken(shared, kinds)
    taking = Counter(names[kind] for kind in kinds.tolist())
    return BestResponse(
        blocked=round(float(blocked.mean()), 4),
        worst=round(float(blocked.min()), 4),
        under_90=round(float((blocked < _WELL).float().mean()), 4),
        matrix=matrix_of(blocked, pairs, users),
        kinds=dict(taking.most_common()),
    )


def taken(shared: Shares, kinds: Int64[Tensor, " pairs"]) -> Float[Tensor, " pairs"]:
    """Return each pair's share under the kind that it takes."""
    return shared.gather(0, kinds[None])[0]


def matrix_of(
    values: Float[Tensor, " pairs"], pairs: Sequence[tuple[int, int]], users: int
) -> tuple[tuple[float, ...], ...]:
    """Return values by adversary and victim, -1 where the pair was not tried."""
    matrix = torch.full((users, users), -1.0)
    for (adversary, victim), value in zip(pairs, values, strict=True):
        matrix[adversary, victim] = value
    return tuple(tuple(round(value, 4) for value in row) for row in matrix.tolist())
