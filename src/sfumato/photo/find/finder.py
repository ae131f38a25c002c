"""Every face of a photograph: three sizes of it, each in four rotations.

One pass finds upright faces of a range of sizes. Cameras lie on their side, people lie down, and a
face may fill the picture: what one pass misses another finds. Large pictures are passed over in
tiles, so that memory stays bounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from torch import Tensor

from sfumato.photo.find.box import Face, in_picture, merged, rotated_back
from sfumato.photo.find.centerface import CenterFace

MAYBE: Final = 0.2
"""From here a person is asked."""
_TILE: Final = 1536
_SHARED: Final = 192  # pixels that tiles share; larger faces are found in smaller sizes


@dataclass(frozen=True, slots=True)
class Passes:
    """What one picture is passed over at."""

    sides: tuple[int | None, ...] = (None, 640, 320)
    """Pixels of its longer side; None is its own size."""
    quarters: tuple[int, ...] = (0, 1, 2, 3)
    """Rotations by 90 degrees."""


WHOLE: Final = Passes()


class FaceFinder:
    """Finds faces; one for many pictures.

    Raises:
        ArtifactError, UnavailableError: as `CenterFace`.
    """

    def __init__(self) -> None:
        self._net = CenterFace()

    def __call__(
        self,
        picture: UInt8[Tensor, "three h w"],
        *,
        least: float | int = MAYBE,
        passes: Passes = WHOLE,
    ) -> list[Face]:
        """Return the faces of an RGB picture that are at least so sure, the surest first."""
        found: list[Face] = []
        for side in passes.sides:
            sized = _fitted(picture, side)
            factor = picture.shape[-1] / sized.shape[-1]
            for quarters in passes.quarters:
                found += (face.scaled(factor) for face in self._rotated(sized, quarters, least))
        return in_picture(merged(found), (picture.shape[-1], picture.shape[-2]))

    def _rotated(
        self, picture: UInt8[Tensor, "three h w"], quarters: int, least: float | int
    ) -> Iterator[Face]:
        pixels = np.rot90(picture.permute(1, 2, 0).numpy(), quarters)
        size = (picture.shape[1], picture.shape[2])
        for top in _starts(pixels.shape[0]):
            for left in _starts(pixels.shape[1]):
                tile = pixels[top : top + _TILE, left : left + _TILE]
                for face in merged(self._net(tile, least)):
                    yield rotated_back(face.shifted(left, top), quarters, size)


def _starts(length: int) -> Sequence[int]:
    """Return where tiles start that cover a side."""
    if length <= _TILE:
        return (0,)
    count = -(-(length - _SHARED) // (_TILE - _SHARED))
    return [round(i * (length - _TILE) / (count - 1)) for i in range(count)]


def _fitted(picture: UInt8[Tensor, "three h w"], side: int | None) -> UInt8[Tensor, "three _ _"]:
    """Return the picture with a longer side of so many pixels."""
    longer = max(picture.shape[1:])
    if side is None or side == longer:
        return picture
    size = [max(1, round(length * side / longer)) for length in picture.shape[1:]]
    resized = F.interpolate(
        picture[None], size, mode="bilinear", antialias=side < longer, align_corners=False
    )
    return torch.as_tensor(resized[0])
