"""Disjoint splits, so that no attacker ever trains on a victim's pictures by accident."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from jaxtyping import Int64
from torch import Tensor

from sfumato.counted import counted
from sfumato.data.imageset import MISSING, ImageSet
from sfumato.data.order import random_order
from sfumato.errors import ConfigError, DataError


def split_images(images: ImageSet, fractions: Sequence[float], *, seed: int) -> list[ImageSet]:
    """Split at random by image, in the given fractions (which sum to at most 1)."""
    order = random_order(len(images), seed)
    return [images.subset(part) for part in _cut(order, fractions)]


def shuffled(images: ImageSet, *, seed: int) -> ImageSet:
    """Return the same images in random order.

    Collections, and the parts of a split, come sorted, by class or by person: the first so many of
    them are of a few classes only.
    """
    order = random_order(len(images), seed)
    return images.subset(order)


def split_groups(
    images: ImageSet, attribute: str, fractions: Sequence[float], *, seed: int
) -> list[ImageSet]:
    """Split by the values of `attribute`: no value (person, writer) is in two parts.

    Raises:
        DataError: some image has no such label, so that disjointness could not be promised.
    """
    values = images.label(attribute)
    if bool((values == MISSING).any()):
        missing = int((values == MISSING).sum())
        raise DataError(f"{images.name}: {missing} images have no {attribute!r} to split by")
    present = values.unique()
    order = present[random_order(len(present), seed)]
    return [images.subset(torch.isin(values, part)) for part in _cut(order, fractions)]


def with_at_least(images: ImageSet, attribute: str, count: int) -> ImageSet:
    """Keep the values of `attribute` (people, say) that have at least `count` images.

    The attribute's classes are renumbered to those kept, in their old order.

    Raises:
        DataError: no value has so many.
    """
    values = images.label(attribute)
    names = images.classes[attribute]
    totals = torch.bincount(values[values != MISSING], minlength=len(names))
    kept = (totals >= count).nonzero().squeeze(1)
    if not len(kept):
        raise DataError(
            f"{images.name}: no {attribute} has {counted(count, 'image')}; "
            f"the largest has {int(totals.max())}"
        )
    number = torch.full((len(names),), MISSING)
    number[kept] = torch.arange(len(kept))
    subset = images.subset(torch.isin(values, kept))
    return replace(
        subset,
        labels={**subset.labels, attribute: number[subset.labels[attribute]]},
        classes={**subset.classes, attribute: tuple(names[i] for i in kept.tolist())},
    )


def _cut(order: Int64[Tensor, "n"], fractions: Sequence[float]) -> list[Int64[Tensor, "_"]]:
    if not fractions or min(fractions) <= 0 or sum(fractions) > 1 + 1e-9:
        raise ConfigError(f"split fractions must be positive and sum to at most 1, got {fractions}")
    edges = [0, *(round(len(order) * sum(fractions[: i + 1])) for i in range(len(fractions)))]
    return [order[start:end].sort().values for start, end in pairwise(edges)]
