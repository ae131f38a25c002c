"""Faces protected in their place: cut, brought to one size, released, and blended back.

Every face is brought to the same size first, so that a setting means the same for a face of 20
pixels as for one of 500: `blur:8` is a blur of 8 parts of 112 of what is cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from sfumato.data.pixels import as_uint8
from sfumato.errors import DataError
from sfumato.photo.find.box import Face
from sfumato.protect.pretrained import PretrainedProtector
from sfumato.protect.release.noise import secret_draws
from sfumato.protect.release.pictures import as_pictures
from sfumato.protect.san.model import SemiAdversarial
from sfumato.types import Protector

SIDE: Final = 112
"""Pixels of a face's square as a protector without a size of its own gets it."""
_SOFT: Final = 0.08  # of the square's half, over which the oval fades outwards
_AROUND: Final = 0.8  # of a face on each side, so that another detector sees it whole
_CUT: Final = 300  # pixels that such a cut is brought to
_LUMA: Final = (0.299, 0.587, 0.114)  # of red, green and blue, as JPEG weighs them


@dataclass(frozen=True, slots=True)
class Region:
    """The square of a picture that is cut for a face, and the oval in it that is replaced."""

    left: int
    top: int
    side: int
    oval: tuple[float, float]
    """Half its width and height, as shares of half the square's side."""

    @classmethod
    def around(cls, face: Face, grow: float | int) -> Region:
        """Return the region of a face that grows by this share on each side."""
        grown = face.grown(grow)
        side = max(4, round(max(grown.width, grown.height) * (1 + _SOFT)))
        across, down = (grown.left + grown.right) / 2, (grown.top + grown.bottom) / 2
        return cls(
            round(across - side / 2),
            round(down - side / 2),
            side,
            (grown.width / side, grown.height / side),
        )

    def cut(self, picture: UInt8[Tensor, "c h w"]) -> UInt8[Tensor, "c s s"]:
        """Return the square; beyond the picture its last pixels are repeated."""
        height, width = picture.shape[1:]
        columns = torch.arange(self.left, self.left + self.side).clamp(0, width - 1)
        rows = torch.arange(self.top, self.top + self.side).clamp(0, height - 1)
        return picture[:, rows][:, :, columns]

    def mask(self) -> Float[Tensor, "s s"]:
        """Return 1 in the oval, falling to 0 outside of it."""
        steps = (torch.arange(self.side) + 0.5) / self.side * 2 - 1
        across, down = steps[None, :] / self.oval[0], steps[:, None] / self.oval[1]
        return ((1 + _SOFT - (across**2 + down**2).sqrt()) / _SOFT).clamp(0, 1)

    def put(self, picture: UInt8[Tensor, "c h w"], face: Float[Tensor, "c s s"]) -> None:
        """Blend a protected square into the picture, which is changed."""
        height, width = picture.shape[1:]
        top, bottom = max(0, self.top), min(height, self.top + self.side)
        left, right = max(0, self.left), min(width, self.left + self.side)
        if top >= bottom or left >= right:
            return
        rows = slice(top - self.top, bottom - self.top)
        columns = slice(left - self.left, right - self.left)
        there = picture[:, top:bottom, left:right]
        share = self.mask()[rows, columns]
        mixed = there.float() / 255 * (1 - share) + face[:, rows, columns] * share
        there.copy_(as_uint8(mixed[None])[0])


def cut_around(picture: UInt8[Tensor, "3 h w"], face: Face) -> UInt8[Tensor, "3 s s"]:
    """Return a face with its surroundings, of one size: as another detector takes it."""
    square = Region.around(face, _AROUND).cut(picture)
    resized = F.interpolate(
        square[None], (_CUT, _CUT), mode="bilinear", antialias=True, align_corners=False
    )
    return torch.as_tensor(resized[0])


def taken(protector: Protector) -> tuple[int, int, int | None]:
    """Return height, width and channels that a protector takes a face in; None: the picture's."""
    if isinstance(protector, PretrainedProtector):
        channels, height, width = protector.shape
        return height, width, channels
    return SIDE, SIDE, None


def faces_cut(
    protector: Protector, picture: UInt8[Tensor, "c h w"], faces: Sequence[Face], grow: float | int
) -> UInt8[Tensor, "n c2 h2 w2"]:
    """Return the faces as the protector takes them."""
    height, width, channels = taken(protector)
    squares = [Region.around(face, grow).cut(picture) for face in faces]
    sized = [as_uint8(_resized(square.float() / 255, (height, width)))[0] for square in squares]
    return torch.stack([_in(channels or len(picture), face) for face in sized])


@torch.no_grad()
def protect_faces(
    protector: Protector,
    picture: UInt8[Tensor, "c h w"],
    faces: Sequence[Face],
    *,
    grow: float | int,
    secret: bytes,
    whose: Sequence[str] | None = None,
) -> UInt8[Tensor, "c h w"]:
    """Return the picture with these faces protected, each by itself.

    What is drawn at random is drawn for each picture of a face. `whose` names the faces of a film:
    one name has one draw, or else the mean of a second's frames would be without any noise.

    A semi-adversarial network changes the brightness of a face and leaves its colours; what else
    releases grey pictures makes the face grey.

    Raises:
        DataError: the protector gives no pictures.
    """
    result = picture.clone()
    if not faces:
        return result
    cuts = faces_cut(protector, picture, faces, grow)
    names: Sequence[str | None] = whose or [None] * len(faces)
    for face, cut, name in zip(faces, cuts, names, strict=True):
        region = Region.around(face, grow)
        with secret_draws(secret, cut, name):
            released = as_pictures(protector.release(cut[None].float() / 255), protector.name)
        sized = _resized(released[0].float() / 255, (region.side, region.side))[0]
        square = region.cut(result).float() / 255
        keeps_colours = isinstance(protector, SemiAdversarial)
        region.put(result, _coloured(square, sized) if keeps_colours else _in(len(picture), sized))
    return result


def refuse_no_pictures(protector: Protector) -> None:
    """Raise a DataError where a protector gives no pictures, before hours of search for faces."""
    face = Face(left=0, top=0, right=SIDE, bottom=SIDE)
    grain = torch.arange(3 * SIDE * SIDE).remainder(251).to(torch.uint8).view(3, SIDE, SIDE)
    protect_faces(protector, grain, [face], grow=0, secret=b"")


def _resized(picture: Float[Tensor, "c _ _"], size: tuple[int, int]) -> Float[Tensor, "1 c _ _"]:
    return F.interpolate(
        picture[None], size, mode="bilinear", antialias=True, align_corners=False
    ).clamp(0, 1)


def _coloured(
    square: Float[Tensor, "c s s"], luma: Float[Tensor, "1 s s"]
) -> Float[Tensor, "c s s"]:
    """Return the square with another brightness and its own colours."""
    return (square + luma - _luma(square)).clamp(0, 1)


def _luma(picture: Float[Tensor, "c s s"]) -> Float[Tensor, "1 s s"]:
    if len(picture) == 1:
        return picture
    return (picture * picture.new_tensor(_LUMA)[:, None, None]).sum(0, keepdim=True)


def _in(channels: int, picture: Tensor) -> Tensor:
    """Return a picture as grey or RGB, in its own type."""
    if len(picture) == channels:
        return picture
    if channels == 3:
        return picture.expand(3, -1, -1)
    if channels != 1:
        raise DataError(f"faces are grey or RGB, and the protector takes {channels} channels")
    if picture.dtype == torch.uint8:
        return as_uint8(_luma(picture.float() / 255)[None])[0]
    return _luma(picture)
