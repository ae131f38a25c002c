"""Screening of a new enrollment: does it reconstruct the pictures of another enrollment?

An adversary who trains on a victim's stolen pictures reconstructs pictures like them about as well
as the victim's own autoencoder does. An honest user's autoencoder does not. The platform has no
pictures to test that on. It decodes samples of the victim's enrollment instead: codes drawn from
the mean and covariance of the codes of its own images. The likeness is the newcomer's error on
these samples, divided by the error `mu` that the victim reports for its own pictures. Reporting
another `mu` does not help a newcomer, because the likeness uses the other side's.

The order of enrolling does not matter. A newcomer is measured on the samples of all others, and all
others are measured on the newcomer's. So an adversary who came first is found later, when the
victim enrolls.
The likeness does not use the newcomer's own `mu` and `sigma`, so false ones would go unnoticed.
Therefore the share of the others' samples that the newcomer's account claims is measured as well.
One new enrollment costs O(N S D M): S samples of each of N enrollments through the newcomer's
autoencoder, and S samples of the newcomer through all N.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sfumato.errors import ConfigError
from sfumato.filter.rule.claiming import claim_limit, false_claims

CONTESTED: Final = 0.9
"""Likeness below which an enrollment may not override the other one's claims.

Chosen on training images, for trainings that hide nothing; docs/LOG.md has likeness under the
default one. Attackers of own and stolen images had at most 0.81 for MNIST (90 pairs, 1,200 images a
digit), 0.32 for 8x8 digits and 0.29 for faces (10 LFW people); honest users at least 1.01, 1.51 and
1.65.
"""
BROAD: Final = 0.5
"""Share of the others' samples; an enrollment that claims more is quarantined.

Ten honest users had at most 0.13 for 8x8 digits, of whose pictures they claimed 0 to 9 %; with
sigma reported eight times too large, 0.73 to 1. On MNIST's raw pixels, where honest users of 300
pictures claim 2 to 68 % of each other's, half of them are above it, and it says so rightly.
"""
FEW: Final = 5
"""With fewer other enrollments that share is not measured: two people may be alike."""
MOST_OTHERS: Final = 200
"""Of more other enrollments that share is measured on this many, drawn anew for each newcomer."""
SAMPLES: Final = 64
"""Decoded samples of each enrollment."""


@runtime_checkable
class Enrolled(Protocol):
    """What screening needs of a bank."""

    @property
    def ids(self) -> Sequence[str]:
        """Identifiers, in the order of the columns of `errors`."""
        ...

    @property
    def mu(self) -> Float[Tensor, " n"]:
        """Mean error that each reports for its own images, in the same order."""
        ...

    @property
    def sigma(self) -> Float[Tensor, " n"]:
        """Standard deviation of that error, in the same order."""
        ...

    def errors(
        self, x: Float[Tensor, "b d"], ids: Sequence[str] | None = None
    ) -> Float[Tensor, "b n"]:
        """Squared errors of eq. (8) before the minimum: of all, or of the named enrollments."""
        ...

    def samples(self, id_: str, count: int, *, seed: int) -> Float[Tensor, "s d"]:
        """Decoded samples of one enrollment."""
        ...

    def __contains__(self, id_: object) -> bool:
        """Whether it has an enrollment now; a ConfigError says that it had none when asked."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """How well `overrider` reconstructs what `claimant` stands for; below 1, like the claimant."""

    overrider: str
    claimant: str
    value: float


@dataclass(frozen=True, slots=True)
class Screening:
    """What the platform learns when an enrollment comes."""

    contested: tuple[Likeness, ...]
    """Pairs whose likeness is below the threshold, most alike first. The newcomer is one of the
    two; either may be the attacker: who of two that are alike came by the pictures honestly, no
    statistic can tell."""
    breadth: float
    """Share of the others' samples that the newcomer and its owner's other enrollments claim
    together; 0 where there are too few others."""
    copied: int
    """Hashes of the newcomer that are near to hashes which somebody else enrolled."""

    @property
    def broad(self) -> bool:
        """Whether it claims what others stand for at large: its `mu` or `sigma` is a lie."""
        return self.breadth > BROAD


def likeness(errors: Float[Tensor, "samples k"], mu: float) -> Float[Tensor, " k"]:
    """Return the mean error of k autoencoders on one enrollment's samples, in units of its `mu`."""
    return errors.mean(0).div(mu)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What screening finds in a bank, or in one part of it; of many parts it is the sum."""

    contested: tuple[Likeness, ...]
    claimed: tuple[float, ...]
    """The share of other enrollments' samples that the newcomer or one of its owner claims."""
    copied: int = 0
    """Hashes of the newcomer that are near to somebody else's here."""


def compare(
    newcomer: str,
    bank: Enrolled,
    *,
    seed: int,
    count: int = SAMPLES,
    contested: float = CONTESTED,
    own: Iterable[str] = (),
    among: Collection[str] | None = None,
) -> Comparison:
    """Compare the enrollment `newcomer` with every other one of `bank`, both ways.

    `bank` may be a part of a larger one: see `concluded`. `own` names enrollments of the
    newcomer's owner in it: two classes of one person may be alike, but what they claim of others
    adds up. With `among` only those others are compared. One that is erased meanwhile is left out.
    """
    mine = [newcomer, *own]
    others = [name for name in bank.ids if name not in mine and (among is None or name in among)]
    mu = dict(zip(bank.ids, bank.mu.tolist(), strict=True))
    limits = {name: _limit(bank, name) for name in mine}
    asked = _drawn(others, seed)
    pairs, claimed = [], []
    for name in others:
        if (x := _samples(bank, name, count, seed)) is None:
            continue
        errors, left = _errors(bank, x, mine if name in asked else mine[:1])
        value = float(likeness(errors[:, :1], mu[name]))
        pairs.append(Likeness(overrider=newcomer, claimant=name, value=value))
        if name in asked:
            claims = torch.tensor([limits[one] for one in left])
            claimed.append(false_claims(errors, claims) / count)
    if others:
        errors, left = _errors(bank, bank.samples(newcomer, count, seed=seed), others)
        for name, value in zip(left, likeness(errors, mu[newcomer]).tolist(), strict=True):
            pairs.append(Likeness(overrider=name, claimant=newcomer, value=value))
    return Comparison(tuple(pair for pair in pairs if pair.value < contested), tuple(claimed))


def _samples(bank: Enrolled, name: str, count: int, seed: int) -> Float[Tensor, "s d"] | None:
    """Return samples of an enrollment, or None where it was erased meanwhile."""
    try:
        return bank.samples(name, count, seed=seed)
    except ConfigError:
        if name in bank:
            raise
        return None


def _errors(
    bank: Enrolled, x: Float[Tensor, "b d"], names: Sequence[str]
) -> tuple[Float[Tensor, "b k"], Sequence[str]]:
    """Return the errors of these enrollments, but for those erased meanwhile, and whose they are.

    Nothing holds the bank still while a newcomer is compared, or nobody else could change it.
    """
    while True:
        try:
            return bank.errors(x, names), names
        except ConfigError:
            left = [name for name in names if name in bank]
            if len(left) == len(names):
                raise
            names = left


def _limit(bank: Enrolled, name: str) -> float:
    """Return the largest error that an enrollment claims at the default threshold."""
    row = list(bank.ids).index(name)
    return claim_limit(float(bank.mu[row]), float(bank.sigma[row]))


def _drawn(names: Sequence[str], seed: int) -> set[str]:
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(seed))
    return {names[i] for i in order[:MOST_OTHERS].tolist()}


def joined(parts: Iterable[Comparison]) -> Comparison:
    """Return the comparisons with several parts of a bank as one; a pair counts once."""
    every = list(parts)
    pairs = {(p.overrider, p.claimant): p for part in every for p in part.contested}
    claimed = tuple(share for part in every for share in part.claimed)
    return Comparison(tuple(pairs.values()), claimed, sum(part.copied for part in every))


def concluded(parts: Iterable[Comparison]) -> Screening:
    """Return what the comparisons with all parts of a bank amount to, in whatever order."""
    whole = joined(parts)
    share = math.fsum(whole.claimed) / len(whole.claimed) if len(whole.claimed) >= FEW else 0.0
    pairs = sorted(whole.contested, key=lambda p: (p.value, p.overrider, p.claimant))
    return Screening(tuple(pairs), share, whole.copied)


def pair_rows(pairs: Iterable[Likeness], ids: Sequence[str]) -> Int64[Tensor, "pairs 2"]:
    """Return contested pairs as the rows (k, v) that the guard takes, given the order of `ids`.

    Pairs of an enrollment that is gone are left out.
    """
    place = {name: i for i, name in enumerate(ids)}
    rows = [
        (place[p.overrider], place[p.claimant])
        for p in pairs
        if p.overrider in place and p.claimant in place
    ]
    return torch.tensor(rows, dtype=torch.int64).reshape(-1, 2)
