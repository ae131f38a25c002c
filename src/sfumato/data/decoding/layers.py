"""Frames of an animation as viewers compose them, and a picture's pixels on white."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from PIL import Image

from sfumato.data.decoding.colour import to_srgb
from sfumato.errors import ImageError

_WHITE: Final = (255, 255, 255, 255)  # what a page shows beneath a transparent picture
_BAND: Final = 1 << 20  # pixels that are made smaller at once
_PLAIN: Final = ("L", "RGB", "CMYK", "LAB")
_ALPHA: Final = {"LA": "L", "La": "L", "RGBA": "RGB", "RGBa": "RGB"}


Then = Literal["keep", "clear", "restore"]
"""What becomes of a frame's part of the canvas before the next frame."""


@dataclass(frozen=True, slots=True)
class Layer:
    """What one frame of an animation draws."""

    decode: Callable[[], Image.Image]
    """The frame's own pixels, in RGBA."""
    place: tuple[int, int]
    """Left and top in the canvas, pixels."""
    size: tuple[int, int]
    """Width and height."""
    over: bool
    """Whether it is laid over what is there by its transparency, or put in its place."""
    then: Then


def composed(layers: Iterable[Layer], size: tuple[int, int]) -> Iterator[Image.Image]:
    """Yield the canvas (RGBA, transparent at first) as it is shown after each layer."""
    canvas = Image.new("RGBA", size)
    for layer in layers:
        left, top = layer.place
        part = (left, top, min(left + layer.size[0], size[0]), min(top + layer.size[1], size[1]))
        inside = part[2] > left and part[3] > top
        before = canvas.crop(part) if inside and layer.then == "restore" else None
        if inside:
            drawn = layer.decode().crop((0, 0, part[2] - left, part[3] - top))
            if layer.over:
                canvas.alpha_composite(drawn, (left, top))
            else:
                canvas.paste(drawn, part)
        yield canvas.copy()
        if inside and layer.then != "keep":
            canvas.paste(before if before is not None else (0, 0, 0, 0), part)


def on_white(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Return any picture as L or RGB: 8 bits, in sRGB by its ICC profile, transparency on white.

    Raises:
        ImageError: its numbers have no range that viewers agree on.
    """
    if picture.mode in _PLAIN:
        plain, alpha = picture, None
    else:
        plain, alpha = _separated(picture)
    if profile is not None:
        plain = to_srgb(plain, profile)
    if plain.mode not in ("L", "RGB"):
        plain = plain.convert("RGB")
    if alpha is None:
        return plain
    laid = plain.convert("RGBA")
    laid.putalpha(alpha)
    whole = Image.alpha_composite(Image.new("RGBA", laid.size, _WHITE), laid)
    return whole.convert(plain.mode)


def reduced(picture: Image.Image, factor: int) -> Image.Image:
    """Return a picture of any mode `factor` times smaller: each pixel is the mean of a square.

    Colours count by their opacity, so that a transparent pixel's hidden colour does not show. It
    goes a band of rows at a time, so that it takes little more memory than what it returns.
    """
    if factor == 1 or picture.mode in ("I", "F"):  # which have no range: `on_white` refuses them
        return picture
    width, height = picture.size
    rows = factor * max(1, _BAND // (width * factor))
    made: Image.Image | None = None
    for top in range(0, height, rows):
        part = picture.crop((0, top, width, min(top + rows, height)))
        small = (eight_bits(part) if part.mode.startswith("I;16") else _unindexed(part)).reduce(
            factor
        )
        if made is None:
            made = Image.new(small.mode, (small.width, -(-height // factor)))
        made.paste(small, (0, top // factor))
    return picture if made is None else made


def eight_bits(picture: Image.Image) -> Image.Image:
    """Return 16-bit grey as 8-bit grey: the upper byte, as browsers take it; others as they are."""
    if not picture.mode.startswith("I"):
        return picture
    return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))


def _unindexed(picture: Image.Image) -> Image.Image:
    """Return a picture of a palette, or of one bit, with its colours."""
    if picture.mode == "P":
        return picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    if picture.mode == "PA":
        return picture.convert("RGBA")
    return picture.convert("L") if picture.mode == "1" else picture


def _separated(picture: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return a picture's colours (L, RGB, CMYK or LAB; 8 bits) and its transparency, if any."""
    if picture.mode.startswith("I;16"):
        return eight_bits(picture), None
    if picture.mode in ("I", "F"):
        raise ImageError(
            f"expected 8 or 16 bits a sample, got 32 ({picture.mode}); save it with 8 or 16"
        )
    picture = _unindexed(picture)
    if picture.mode not in _ALPHA:
        return picture if picture.mode in _PLAIN else picture.convert("RGB"), None
    straight = picture.convert("LA" if _ALPHA[picture.mode] == "L" else "RGBA")
    return straight.convert(_ALPHA[picture.mode]), straight.getchannel("A")
