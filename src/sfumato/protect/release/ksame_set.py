"""k-same of a whole collection: groups of k pictures, and the mean of its group for each of them.

Newton, Sweeney and Malin, "Preserving Privacy by De-identifying Face Images" (2005), algorithm
k-Same: a picture and its k - 1 nearest are averaged, all k are released as that mean, and the
next picture is taken from those that are left. Each released picture then stands for k at least,
so that naming whose it is succeeds one time in k. Means of each picture's own k nearest, without
groups, do not give that: two of them are seldom equal.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from sfumato.data.imageset import MISSING, ImageSet
from sfumato.data.pixels import as_uint8, digests
from sfumato.errors import ConfigError, DataError
from sfumato.types import Protector

Images = Float[Tensor, "n c h w"]


class KSameSet(Protector):
    """Releases each picture of one set as the mean of `k` different ones, itself among them.

    With a `label` (of people), the k are of k different values of it. What is then left over,
    because no k values are left, gets the mean that it is nearest to. Equal pictures count once.

    Raises:
        ConfigError: k is below 2, or more than there are different pictures or values.
        DataError: a picture has no value of the label.
    """

    name: str
    private: tuple[str, ...]

    def __init__(self, k: int, images: ImageSet, label: str | None = None) -> None:
        self.name = f"ksame:{k}" + (f":{label}" if label else "")
        self.private = () if label is None else (label,)
        first, own = _different(images.images)
        people = None if label is None else images.label(label)[first]
        if people is not None and bool((people == MISSING).any()):
            raise DataError(
                f"{images.name}: some pictures have no {label!r}, which {self.name} needs"
            )
        most = len(first) if people is None else len(people.unique())
        if not 2 <= k <= most:
            what = "different pictures" if label is None else f"values of {label!r}"
            raise ConfigError(
                f"ksame:K needs K from 2 to {most}, as many {what} as {images.name} has; got {k}"
            )
        pixels = images.images[first].float().div_(255)
        self._means, self._group = _grouped(pixels, k, people)
        self._place = own

    def release(self, images: Images) -> Images:
        """Return each picture's mean.

        Raises:
            DataError: a picture is not of the set.
        """
        found = [self._place.get(key) for key in digests(as_uint8(images))]
        if None in found:
            raise DataError(f"{self.name} releases the pictures of its own set only")
        return self._means[self._group[torch.tensor(found)]]


def _different(images: UInt8[Tensor, "n c h w"]) -> tuple[Int64[Tensor, "m"], dict[bytes, int]]:
    """Return where each different picture comes first, and its number by its pixels' digest."""
    first: dict[bytes, int] = {}
    for at, key in enumerate(digests(images)):
        first.setdefault(key, at)
    return torch.tensor(list(first.values())), {key: i for i, key in enumerate(first)}


def _grouped(
    pixels: Images, k: int, people: Int64[Tensor, "n"] | None
) -> tuple[Float[Tensor, "g c h w"], Int64[Tensor, "n"]]:
    """Return each group's mean, and which group each picture is in."""
    flat = pixels.flatten(1)
    group = torch.full((len(flat),), MISSING)
    means: list[Tensor] = []
    while True:
        members = _next_group(flat, k, people, group == MISSING)
        if members is None:
            break
        group[members] = len(means)
        means.append(pixels[members].mean(0))
    stacked = torch.stack(means)
    left = group == MISSING
    group[left] = torch.cdist(flat[left], stacked.flatten(1)).argmin(1)
    return stacked, group


def _next_group(
    flat: Float[Tensor, "n d"], k: int, people: Int64[Tensor, "n"] | None, free: Bool[Tensor, "n"]
) -> Int64[Tensor, "k"] | None:
    """Return who is averaged next, or None where too few are left."""
    left = free.nonzero().squeeze(1)
    if people is None:
        if len(left) < k:
            return None
        if len(left) < 2 * k:  # who would be too few for a group of their own join the last one
            return left
        return left[_distances(flat, left, 0).topk(k, largest=False).indices]
    values, counts = people[left].unique(return_counts=True)
    if len(values) < k:
        return None
    # Begun by who has most pictures left, so that few are left over in the end.
    start = int((people[left] == values[counts.argmax()]).nonzero()[0])
    distances = _distances(flat, left, start)
    nearest = [_nearest(distances, people[left] == value) for value in values]
    some = torch.tensor(nearest)
    return left[some[distances[some].topk(k, largest=False).indices]]


def _distances(
    flat: Float[Tensor, "n d"], left: Int64[Tensor, "m"], start: int
) -> Float[Tensor, " m"]:
    distances = (flat[left] - flat[left[start]]).square().sum(1)
    distances[start] = -1  # before any that is equal but for rounding
    return distances


def _nearest(distances: Float[Tensor, " m"], among: Bool[Tensor, " m"]) -> int:
    return int(distances.where(among, torch.inf).argmin())
