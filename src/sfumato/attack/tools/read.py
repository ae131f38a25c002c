"""How an adversary reads a release of any shape and type as numbers that a network can take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from sfumato.data.imageset import MISSING
from sfumato.errors import ConfigError, DataError
from sfumato.types import Knowledge

View = Literal["numbers", "popcounts"]
"""`numbers` are the values; `popcounts` the set bits of each word, which no permutation of the
bits inside a word can change."""

Source = Literal["release", "plain"]
"""What the adversary trains on: releases, or (of a keyed protector) what is inside them."""

_CLIP = 8.0  # standard deviations; a shuffled float may be 1e38
_BATCH = 256


def is_picture(release: Tensor) -> bool:
    """Say whether a release is a stack of grey or RGB images."""
    return release.is_floating_point() and release.ndim == 4 and release.shape[1] in (1, 3)


def read(
    release: Shaped[Tensor, "n *shape"], view: View, *, like: torch.dtype | None = None
) -> Float[Tensor, "n *shape"]:
    """Return a release as finite float32 numbers of the same shape.

    Integers of the width of `like`, a floating type, are taken for floats of that type, as the
    recipient of features would take ciphertext.
    """
    if view == "popcounts":
        return popcounts(release)
    if like is not None and _shuffled(release.dtype, like):
        release = release.view(like)
    limit = torch.finfo(torch.float32).max
    return release.double().nan_to_num(0.0, limit, -limit).clamp(-limit, limit).float()


def _shuffled(dtype: torch.dtype, like: torch.dtype) -> bool:
    floats = like.is_floating_point and not dtype.is_floating_point
    return floats and dtype.itemsize == like.itemsize


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


def ask(
    query: Callable[[Float[Tensor, "n c h w"]], Tensor], images: Float[Tensor, "n c h w"]
) -> Shaped[Tensor, "n *shape"]:
    """Query the release function in batches, each its own request (and so its own key)."""
    with torch.no_grad():
        return torch.cat([query(batch).cpu() for batch in images.split(_BATCH)])


def training_rows(
    knowledge: Knowledge, source: Source
) -> tuple[Shaped[Tensor, "n *shape"], torch.dtype | None]:
    """Return what the adversary trains on, and the type as which victims' releases are read.

    Raises:
        ConfigError: the protector has no plain side to train on.
    """
    if source == "release":
        return ask(knowledge.query, knowledge.images), None
    if knowledge.query_plain is None:
        raise ConfigError("this protector has no key, so there is no plain release to train on")
    plain = ask(knowledge.query_plain, knowledge.images)
    return plain, plain.dtype


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
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed))
    held = torch.zeros(total, dtype=torch.bool)
    held[order[: max(1, round(share * total))]] = True
    chosen = held[members]
    return (~chosen).nonzero().squeeze(1), chosen.nonzero().squeeze(1)


def drawn_rows(rows: Int64[Tensor, "n"], most: int, *, seed: int) -> Int64[Tensor, "m"]:
    """Return so many rows at most, drawn: collections come sorted, by class or by person."""
    if len(rows) <= most:
        return rows
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    return rows[order[:most].sort().values]
