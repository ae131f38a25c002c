"""Prototypes of the paper `san`: the mean picture of each value of an attribute, and of all.

Pictures must be aligned: the mean of faces anywhere in the picture is a smear.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from sfumato.data.imageset import MISSING, ImageSet
from sfumato.data.pixels import digests
from sfumato.errors import DataError

FEWEST = 10
"""Pictures behind a prototype, at least: an artifact carries it, and a mean of one is that one."""
_BATCH = 512
_VALUES = 2


@dataclass(slots=True)
class MeanPictures:
    """Means by attribute and value, in one pass over any number of batches.

    `sums` is float64 `(k, 2, 3, h, w)`, `counts` `(k, 2)`; a label `MISSING` is left out of its
    attribute alone. Equal pictures count once: ten copies of one would have it as their mean.
    """

    sums: Float[Tensor, "k v c h w"]
    counts: Int64[Tensor, "k v"]
    _seen: dict[bytes, int] = field(default_factory=dict)
    """Of each picture, by its digest, a bit for each attribute and value that it counts for."""

    @classmethod
    def empty(cls, attributes: int, size: tuple[int, int]) -> MeanPictures:
        """Return sums of nothing."""
        return cls(
            torch.zeros(attributes, _VALUES, 3, *size, dtype=torch.float64),
            torch.zeros(attributes, _VALUES, dtype=torch.int64),
        )

    def add(self, images: UInt8[Tensor, "n c h w"], labels: Int64[Tensor, "n k"]) -> None:
        """Add a batch; grey pictures count as RGB.

        Raises:
            DataError: the pictures have another size than the first ones.
        """
        if images.shape[2:] != self.sums.shape[3:]:
            raise DataError(
                f"prototypes are {tuple(self.sums.shape[3:])} pixels, got pictures of "
                f"{tuple(images.shape[2:])}; load all at one size"
            )
        keys = digests(images)
        rows = images.expand(-1, 3, -1, -1).double().div_(255).flatten(1)
        for k in range(labels.shape[1]):
            for value in range(_VALUES):
                where = self._first(keys, labels[:, k] == value, _VALUES * k + value)
                # One product instead of a copy of the chosen rows.
                self.sums[k, value] += (where.double() @ rows).view_as(self.sums[k, value])
                self.counts[k, value] += where.sum()

    def _first(
        self, keys: Sequence[bytes], own: Bool[Tensor, " n"], place: int
    ) -> Bool[Tensor, " n"]:
        """Say which of a value's own pictures no earlier one of that value is equal to."""
        found = []
        for key, counts in zip(keys, own.tolist(), strict=True):
            seen = self._seen.get(key, 0)
            found.append(counts and not seen >> place & 1)
            if counts:
                self._seen[key] = seen | 1 << place
        return torch.tensor(found, dtype=torch.bool)

    def prototypes(self) -> Float[Tensor, "k three c h w"]:
        """Return each attribute's mean picture of value 0, of value 1, and of both together.

        The last, neutral one is the mean of the two weighted by their counts (section 3.2).

        Raises:
            DataError: fewer than ten different pictures have one of the values.
        """
        least = int(self.counts.min())
        if least < FEWEST:
            raise DataError(
                f"expected at least {FEWEST} different pictures of each value of a hidden "
                f"attribute, got "
                f"{least} of one: the artifact carries their mean, which must be nobody's picture"
            )
        counts = self.counts[:, :, None, None, None]
        neutral = self.sums.sum(1, keepdim=True) / counts.sum(1, keepdim=True)
        return torch.cat([self.sums / counts, neutral], 1).float()


def binary_labels(images: ImageSet, attributes: tuple[str, ...]) -> Int64[Tensor, "n k"]:
    """Return the labels of binary attributes, side by side.

    Raises:
        DataError: an attribute is missing, is not binary, or has one value only.
    """
    if not attributes:
        raise DataError("expected at least one attribute to hide, got none")
    for name in attributes:
        values = images.label(name)
        found = values[values != MISSING].unique().tolist()
        if len(found) < _VALUES:
            raise DataError(
                f"all pictures with a {name!r} have one and the same; it takes both to hide it"
            )
        if len(images.classes[name]) != _VALUES:
            raise DataError(
                f"{name!r} has {len(images.classes[name])} values; a semi-adversarial network "
                "hides attributes of two values: join or leave out the others"
            )
    return torch.stack([images.label(name) for name in attributes], 1)


def labelled(images: ImageSet, attributes: tuple[str, ...]) -> tuple[ImageSet, int]:
    """Return the images that have all attributes, and how many were left out."""
    known = (binary_labels(images, attributes) != MISSING).all(1)
    return images.subset(known), int((~known).sum())


def mean_prototypes(
    batches: Iterable[ImageSet], attributes: tuple[str, ...], size: tuple[int, int]
) -> Float[Tensor, "k three c h w"]:
    """Return the prototypes of image sets that come one after the other, in one pass."""
    means = MeanPictures.empty(len(attributes), size)
    for batch in batches:
        labels = torch.stack([batch.label(name) for name in attributes], 1)
        means.add(batch.images, labels)
    return means.prototypes()


def prototypes_of(images: ImageSet, attributes: tuple[str, ...]) -> Float[Tensor, "k three c h w"]:
    """Return the prototypes of one image set, read a batch at a time."""
    binary_labels(images, attributes)
    starts = range(0, len(images), _BATCH)
    batches = (images.subset(range(s, min(s + _BATCH, len(images)))) for s in starts)
    height, width = images.images.shape[2:]
    return mean_prototypes(batches, attributes, (height, width))
