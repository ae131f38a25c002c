"""How an adversary reads a release of any shape and type as numbers that a network can take."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from sfumato.data.imageset import MISSING
from sfumato.data.order import random_order
from sfumato.errors import ConfigError, DataError
from sfumato.types import Knowledge, Releases, ask

View = Literal["numbers", "popcounts"]
"""`numbers` are the values; `popcounts` the set bits of each word, which no permutation of the
bits inside a word can change."""

_CLIP = 8.0  # standard deviations; a shuffled float may be 1e38


def is_picture(release: Tensor) -> bool:
    """Say whether a release is a stack of grey or RGB images."""
    return release.is_floating_point() and release.ndim == 4 and release.shape[1] in (1, 3)


def as_picture(release: Tensor) -> Float[Tensor, "n c h w"] | None:
    """Return a release as grey or RGB pictures in [0, 1], or None where it is none.

    Pictures of bytes are pictures, too.
    """
    if is_picture(release):
        return release.float().clamp(0, 1)
    if release.dtype == torch.uint8 and release.ndim == 4 and release.shape[1] in (1, 3):
        return release.float() / 255
    return None


def read(release: Shaped[Tensor, "n *shape"], view: View) -> Float[Tensor, "n *shape"]:
    """Return a release as finite float32 numbers of the same shape."""
    if view == "popcounts":
        return popcounts(release)
    limit = torch.finfo(torch.float32).max
    return release.double().nan_to_num(0.0, limit, -limit).clamp(-limit, limit).float()


def inside(victim: Releases, knowledge: Knowledge) -> tuple[Releases, Knowledge]:
    """Return what any attack needs to learn on what is inside the releases of a keyed protector.

    The adversary then has plain releases of own pictures. Integers that are intercepted are taken
    for floats of the plain type where they are as wide, as the recipient of features would take
    ciphertext.

    Raises:
        ConfigError: the protector has no plain side to train on.
    """
    plain = knowledge.query_plain
    if plain is None:
        raise ConfigError("this protector has no key, so there is no plain release to train on")
    dtype, tensor = ask(plain, knowledge.images[:1]).dtype, victim.tensor
    floats = dtype.is_floating_point and not tensor.is_floating_point()
    if floats and dtype.itemsize == tensor.itemsize:
        tensor = tensor.view(dtype)
    return replace(victim, tensor=tensor), replace(knowledge, query=plain)


def popcounts(release: Shaped[Tensor, "n *shape"]) -> Float[Tensor, "n *shape"]:
    """Return the number of set bits of each word."""
    octets = release.contiguous().unsqueeze(-1).view(torch.uint8)
    shifts = torch.arange(8, dtype=torch.uint8, device=release.device)
    return ((octets.unsqueeze(-1) >> shifts) & 1).sum((-1, -2)).float()


@dataclass(frozen=True, slots=True)
class Standard:
    """Zero mean and unit variance by the adversary's own releases: a channel, or a dimension."""

    mean: Tensor
    scale: Tensor

    @classmethod
    def of(cls, rows: Float[Tensor, "n *shape"]) -> Standard:
        """Measure on the adversary's rows."""
        over = (0, *range(2, rows.ndim)) if rows.ndim == 4 else (0,)
        wide = rows.double()
        mean = wide.mean(over, keepdim=True)
        deviation = wide.std(over, correction=0, keepdim=True)
        # A constant dimension says nothing; dividing by its zero would make it shout.
        scale = torch.where(deviation > 0, deviation, torch.ones_like(deviation))
        return cls(mean, scale)

    def __call__(self, rows: Float[Tensor, "n *shape"]) -> Float[Tensor, "n *shape"]:
        """Return the rows standardised and clipped."""
        return ((rows.double() - self.mean) / self.scale).clamp(-_CLIP, _CLIP).float()


def holdout(count: int, share: float, *, groups: Tensor | None, seed: int) -> tuple[Tensor, Tensor]:
    """Split rows into training and validation, keeping each group (person) on one side.

    Raises:
        DataError: too few rows or groups to hold any out.
    """
    known = None if groups is None or bool((groups == MISSING).any()) else groups
    members = torch.arange(count) if known is None else known.unique(return_inverse=True)[1]
    total = int(members.max()) + 1 if count else 0
    if total < 2:
        raise DataError(f"the adversary needs two images or people at least, got {total}")
    order = random_order(total, seed)
    held = torch.zeros(total, dtype=torch.bool)
    held[order[: max(1, round(share * total))]] = True
    chosen = held[members]
    return (~chosen).nonzero().squeeze(1), chosen.nonzero().squeeze(1)


def drawn_rows(rows: Int64[Tensor, "n"], most: int, *, seed: int) -> Int64[Tensor, "m"]:
    """Return so many rows at most, drawn: collections come sorted, by class or by person."""
    if len(rows) <= most:
        return rows
    order = random_order(len(rows), seed)
    return rows[order[:most].sort().values]
