"""Copies: is a released picture somebody's original?

Nothing is trained and nobody is guessed: each release is compared with every picture that the
adversary or the keeper has (`sfumato.attack.album` says when two pictures are one). What it does
not see: a mirrored, turned or cut copy, or a negative.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sfumato.attack.album import Album, compared, like, limits_by
from sfumato.attack.tools.read import as_picture, drawn_rows
from sfumato.attack.tools.scores import share_interval
from sfumato.types import Attack, Details, Finding, Knowledge, Releases

_REFERENCE = 500  # originals whose nearest other one is looked for


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiesDetails(Details):
    """What the search for copies reports beside its figure."""

    kind: ClassVar[str] = "copies"
    victims: int
    equal: int
    """Releases that are equal to an original to the pixel."""
    originals_compared: int
    limit_pixels: float
    """Distance below which a release counts as an original: root mean square of pixels."""
    limit_seen: float
    """The same in 1 - structural similarity."""
    nearest_pixels: float | None
    """The smallest distance of a release; None where none can be compared."""
    nearest_seen: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiesAttack(Attack):
    """Counts the releases that are originals; the figure is their share.

    The floor is how many originals would pass for copies of other originals, the ceiling what an
    unprotected release gives. `details` has the count (`originals`), how many of them are equal to
    the pixel (`equal`), the limits, and the smallest distances.
    """

    seed: int = 0
    """Draws the originals by which limits and floor are set, where there are more than 500."""
    name = "copies"
    learns = False

    def unfit(self, victim: Releases, knowledge: Knowledge) -> str | None:  # noqa: ARG002
        """Say why the attack has no meaning here, or None."""
        shown = as_picture(victim.tensor)
        return "this release is no picture to compare" if shown is None else None

    def run(self, victim: Releases, knowledge: Knowledge) -> Finding:
        """Compare every release with every original.

        Raises:
            DataError: fewer than three originals differ, so that nothing is known of distances.
        """
        pictures = as_picture(victim.tensor)
        assert pictures is not None  # noqa: S101 - see `unfit`
        shown = compared(pictures)
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
            details=CopiesDetails(
                originals=int(copied.sum()),
                victims=len(copied),
                equal=int(found.equal.sum()),
                originals_compared=int((~album.flat).sum()),
                limit_pixels=limits.pixels,
                limit_seen=limits.seen,
                nearest_pixels=_least(found.pixels),
                nearest_seen=_least(found.seen),
            ),
        )


def _interval(hits: Bool[Tensor, "n"]) -> tuple[float, float]:
    return share_interval(hits.float()[None], torch.zeros(len(hits), dtype=torch.int64))


def _least(values: Float[Tensor, "n"]) -> float | None:
    least = float(values.min())
    return least if least < torch.inf else None
