"""Utility that needs no reader: how much a release still looks like its original."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from sfumato.attack.tools.read import is_picture
from sfumato.attack.tools.scores import mean_interval, psnr, ssim
from sfumato.data.pixels import as_uint8
from sfumato.types import Attack, Details, Finding, Knowledge, Releases

Images = Float[Tensor, "n c h w"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityDetails(Details):
    """What the comparison of pictures reports beside its figure, by metric (`ssim`, `psnr`)."""

    kind: ClassVar[str] = "quality"
    victims: int
    scores: Mapping[str, float]
    floors: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class PictureQuality(Attack):
    """Structural similarity of releases to their originals; `details` has PSNR as well.

    The floor is the mean picture of the other side's images, which needs no release.
    """

    name = "quality"
    learns = False

    def unfit(self, victim: Releases, knowledge: Knowledge) -> str | None:  # noqa: ARG002
        """Say why quality has no meaning here, or None."""
        if is_picture(victim.tensor) and victim.tensor.shape == victim.images.shape:
            return None
        return "this release is no picture to look at"

    def run(self, victim: Releases, knowledge: Knowledge) -> Finding:
        """Compare each release, as an 8-bit picture, with its original."""
        shown = as_uint8(victim.tensor.float()) / 255
        mean = knowledge.images.mean(0, keepdim=True).expand_as(victim.images).contiguous()
        scores, floors = _scores(victim.images, shown), _scores(victim.images, mean)
        return Finding(
            attack=self.name,
            protector=victim.protector,
            metric="ssim",
            value=float(scores["ssim"].mean()),
            floor=float(floors["ssim"].mean()),
            ceiling=1.0,
            interval=mean_interval(scores["ssim"][None]),
            seeds=(0,),
            floor_interval=mean_interval(floors["ssim"][None]),
            details=QualityDetails(
                victims=len(shown),
                scores={name: float(values.mean()) for name, values in scores.items()},
                floors={name: float(values.mean()) for name, values in floors.items()},
            ),
        )


def _scores(images: Images, guesses: Images) -> dict[str, Float[Tensor, "n"]]:
    return {"ssim": ssim(images, guesses), "psnr": psnr(images, guesses)}
