"""Copies: is a released picture somebody's original?

Nothing is trained and nobody is guessed: each release is compared with every picture that the
adversary or the keeper has. Two pictures are one where they are the same after rounding to 8 bits,
or lie nearer to each other than two originals ever do: below half of the distance that 99 of 100
originals keep from their nearest other one. Two distances are taken, since a copy may be lighter
or darker: of pixels (root mean square), and of what is seen (1 - structural similarity of both
pictures in grey, brought to one mean and contrast; as it grows with the square of a difference,
half the distance is a quarter of it). Large pictures are compared at 64 pixels on a side.

Halves, because a picture that was drawn anew comes as near to an original as originals do to each
other: one in a hundred would lie below the hundredth itself, next to none below its half. The
same picture twice in a collection does not count as two (it would make the distance 0, and hide
copies), and a flat picture is nobody's (an all-black release is no copy of an all-black original).

What it does not see: a mirrored, turned or cut copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torchvision.transforms.functional import rgb_to_grayscale

from sfumato.attack.scores import share_interval, ssim
from sfumato.attack.views import drawn_rows, is_picture
from sfumato.errors import DataError
from sfumato.types import Finding, Knowledge, Releases

ORIGINALS: Final = "originals"
"""Entry of a finding's details: how many of the victims' releases are originals."""

_QUANTILE = 0.01
_HALF = {"pixels": 1 / 2, "seen": 1 / 4}
_ROUNDED = 0.5 / 255 + 1e-6  # most that a pixel changes by rounding to 8 bits
_SAME = 2 / 255  # root mean square below which two pictures are one, whatever others do
_SAME_SEEN = 0.005  # 1 - structural similarity, likewise
_FLAT = 4 / 255  # standard deviation of a picture without content
_LOOKED_AT = 2  # nearest by each distance, whose structural similarity is computed
_REFERENCE = 500  # originals whose nearest other one is looked for
_SIDE = 64  # pixels
_TOO_FEW = "copies: fewer than three originals differ, so no distance between two means anything"
_AT_ONCE = 256  # rows of distances in memory

Images = Float[Tensor, "n c h w"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiesAttack:
    """Counts the releases that are originals; the figure is their share.

    The floor is how many originals would pass for copies of other originals, the ceiling what an
    unprotected release gives. `details` has the count (`originals`), how many of them are equal to
    the pixel (`equal`), the limits, and the smallest distances.
    """

    seed: int = 0
    """Draws the originals by which limits and floor are set, where there are more than 500."""
    name: ClassVar[str] = "copies"

    def unfit(self, victim: Releases, knowledge: Knowledge) -> str | None:  # noqa: ARG002
        """Say why the attack has no meaning here, or None."""
        return None if is_picture(victim.tensor) else "this release is no picture to compare"

    def run(self, victim: Releases, knowledge: Knowledge) -> Finding:
        """Compare every release with every original.

        Raises:
            DataError: fewer than three originals differ, so that nothing is known of distances.
        """
        shown = compared(victim.tensor.float().clamp(0, 1))
        originals = torch.cat([victim.images, knowledge.images])
        album = Album(like(originals, shown))
        reference = drawn_rows(torch.arange(len(originals)), _REFERENCE, seed=self.seed)
        others = album.among(reference)
        limits = limits_by(others)
        found = album.nearest(shown)
        copied, chance = limits.copied(found), limits.copied(others)
        return Finding(
            attack=self.name,
            protector=victim.protector,
            metric="share of releases",
            value=float(copied.float().mean()),
            floor=float(chance.float().mean()),
            ceiling=1.0,
            interval=_interval(copied),
            seeds=(self.seed,),
            floor_interval=_interval(chance),
            details={
                ORIGINALS: int(copied.sum()),
                "releases": len(copied),
                "equal": int(found.equal.sum()),
                "originals_compared": int((~album.flat).sum()),
                "limit_pixels": limits.pixels,
                "limit_seen": limits.seen,
                "nearest_pixels": _least(found.pixels),
                "nearest_seen": _least(found.seen),
                "victims": len(copied),
            },
        )


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


def _interval(hits: Bool[Tensor, "n"]) -> tuple[float, float]:
    return share_interval(hits.float()[None], torch.zeros(len(hits), dtype=torch.int64))


def _distances(a: Float[Tensor, "n d"], b: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
    """Return squared distances, less what is the same in a row: good enough to rank."""
    return b.square().sum(1) - 2 * a @ b.T


def _joined(parts: list[Nearest]) -> Nearest:
    fields: Iterator[str] = iter(Nearest.__dataclass_fields__)
    return Nearest(*(torch.cat([getattr(part, name) for part in parts]) for name in fields))


def _least(values: Float[Tensor, "n"]) -> float | None:
    least = float(values.min())
    return least if least < torch.inf else None
