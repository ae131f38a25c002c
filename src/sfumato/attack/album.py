"""Originals to compare released pictures with: two distances, and when two pictures are one.

Two pictures are one where they are the same after rounding to 8 bits, or lie nearer to each other
than two originals ever do: below half of the distance that 99 of 100 originals keep from their
nearest other one. Two distances are taken, since a copy may be lighter or darker: of pixels (root
mean square), and of what is seen (1 - structural similarity of both pictures in grey, brought to
one mean and contrast; as it grows with the square of a difference, half the distance is a quarter
of it). Large pictures are compared at 64 pixels on a side.

Halves, because a picture that was drawn anew comes as near to an original as originals do to each
other: one in a hundred would lie below the hundredth itself, next to none below its half. The
same picture twice in a collection does not count as two (it would make the distance 0, and hide
copies), and a flat picture is nobody's (an all-black release is no copy of an all-black original).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torchvision.transforms.functional import rgb_to_grayscale

from sfumato.attack.tools.scores import ssim
from sfumato.errors import DataError

_QUANTILE = 0.01
_HALF = {"pixels": 1 / 2, "seen": 1 / 4}
_ROUNDED = 0.5 / 255 + 1e-6  # most that a pixel changes by rounding to 8 bits
_SAME = 2 / 255  # root mean square below which two pictures are one, whatever others do
_SAME_SEEN = 0.005  # 1 - structural similarity, likewise
_FLAT = 4 / 255  # standard deviation of a picture without content
_LOOKED_AT = 2  # nearest by each distance, whose structural similarity is computed
_SIDE = 64  # pixels
_TOO_FEW = "copies: fewer than three originals differ, so no distance between two means anything"
_AT_ONCE = 256  # rows of distances in memory

Images = Float[Tensor, "n c h w"]


@dataclass(frozen=True, slots=True)
class Nearest:
    """Each picture's distance to its nearest original, by pixels and by what is seen."""

    pixels: Float[Tensor, "n"]
    seen: Float[Tensor, "n"]
    equal: Bool[Tensor, "n"]
    """Whether the two are the same after rounding to 8 bits."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The distances below which two pictures are one."""

    pixels: float
    seen: float

    def copied(self, found: Nearest) -> Bool[Tensor, "n"]:
        """Say which pictures are originals."""
        return found.equal | (found.pixels < self.pixels) | (found.seen < self.seen)


class Album:
    """Originals, ready to be compared with: as pixels, and brought to one mean and contrast."""

    def __init__(self, pictures: Images) -> None:
        self.pictures = pictures
        self.flat = pictures.flatten(1).std(1) < _FLAT
        self.level = levelled(pictures)

    def nearest(self, pictures: Images) -> Nearest:
        """Return how near each picture comes to an original that is not flat."""
        return _joined([self._part(part, None) for part in pictures.split(_AT_ONCE)])

    def among(self, rows: Int64[Tensor, "k"]) -> Nearest:
        """Return how near originals that are not flat come to others than themselves.

        Raises:
            DataError: all are flat.
        """
        rows = rows[~self.flat[rows]]
        if not len(rows):
            raise DataError(_TOO_FEW)
        return _joined([self._part(self.pictures[part], part) for part in rows.split(_AT_ONCE)])

    def _part(self, pictures: Images, own: Int64[Tensor, "k"] | None) -> Nearest:
        barred = self.flat.expand(len(pictures), -1).clone()
        if own is not None:
            barred[torch.arange(len(own)), own] = True
        level = levelled(pictures)
        near = [
            _distances(rows.flatten(1), wall.flatten(1))
            .masked_fill(barred, torch.inf)
            .topk(min(_LOOKED_AT, len(wall)), largest=False)
            .indices
            for rows, wall in ((pictures, self.pictures), (level, self.level))
        ]
        return self._looked_at(pictures, level, torch.cat(near, 1), barred)

    def _looked_at(
        self,
        pictures: Images,
        level: Float[Tensor, "n 1 h w"],
        near: Int64[Tensor, "n k"],
        barred: Tensor,
    ) -> Nearest:
        """Compare each picture with a few originals, exactly."""
        count = near.shape[1]
        out = barred.gather(1, near)
        apart = (pictures[:, None] - self.pictures[near]).flatten(2)
        pixels = apart.square().mean(2).sqrt().masked_fill(out, torch.inf)
        equal = (apart.abs().amax(2) <= _ROUNDED) & ~out
        again = level.repeat_interleave(count, 0)
        alike = ssim(self.level[near.flatten()], again).unflatten(0, (-1, count))
        seen = (1 - alike).clamp(min=0).masked_fill(out, torch.inf)
        # A flat picture brought to one contrast is noise, which is like nothing.
        seen = seen.masked_fill((pictures.flatten(1).std(1) < _FLAT)[:, None], torch.inf)
        return Nearest(pixels.amin(1), seen.amin(1), equal.any(1))


def limits_by(others: Nearest) -> Limits:
    """Return the limits, by originals and their nearest other one.

    Raises:
        DataError: fewer than three originals differ.
    """
    # The same picture again says nothing of how far two pictures are from each other.
    apart = (others.pixels > _SAME) & (others.seen > _SAME_SEEN) & others.seen.isfinite()
    if int(apart.sum()) < 2:
        raise DataError(_TOO_FEW)
    pixels, seen = (
        share * float(getattr(others, name)[apart].quantile(_QUANTILE))
        for name, share in _HALF.items()
    )
    return Limits(max(pixels, _SAME), max(seen, _SAME_SEEN))


def like(pictures: Images, release: Float[Tensor, "_ _ _ _"]) -> Float[Tensor, "n _ _ _"]:
    """Return originals in the size and colours of a release, as whoever compares them would."""
    if pictures.shape[1] != release.shape[1]:
        pictures = _grey(pictures).expand(-1, release.shape[1], -1, -1)
    return _resized(pictures, (release.shape[2], release.shape[3]))


def compared(release: Images) -> Float[Tensor, "n c _ _"]:
    """Return releases in the size at which they are compared."""
    height, width = release.shape[2:]
    most = max(height, width)
    if most <= _SIDE:
        return release
    return _resized(release, (max(1, height * _SIDE // most), max(1, width * _SIDE // most)))


def levelled(pictures: Images) -> Float[Tensor, "n 1 h w"]:
    """Return grey pictures with a mean of 1/2 and a standard deviation of 1/5: light is no part.

    A flat one keeps its little contrast.
    """
    grey = _grey(pictures)
    rows = grey.flatten(1)
    spread = rows.std(1, keepdim=True).clamp(min=_FLAT)
    return ((rows - rows.mean(1, keepdim=True)) / spread / 5 + 0.5).view_as(grey)


def _grey(pictures: Images) -> Float[Tensor, "n 1 h w"]:
    grey: Tensor = rgb_to_grayscale(pictures) if pictures.shape[1] == 3 else pictures
    return grey


def _resized(pictures: Images, size: tuple[int, int]) -> Float[Tensor, "n c _ _"]:
    if tuple(pictures.shape[2:]) == size:
        return pictures
    return F.interpolate(pictures, size=size, mode="bilinear", antialias=True)


def _distances(a: Float[Tensor, "n d"], b: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
    """Return squared distances, less what is the same in a row: good enough to rank."""
    return b.square().sum(1) - 2 * a @ b.T


def _joined(parts: list[Nearest]) -> Nearest:
    columns = ([getattr(part, field.name) for part in parts] for field in fields(Nearest))
    return Nearest(*(torch.cat(column) for column in columns))
