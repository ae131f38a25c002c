"""What happens to a picture on its way from one upload to the next, or in the hands of a thief.

Each edit has one fixed strength, so that a name says exactly what was done.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps
from torch import Tensor

Picture = UInt8[Tensor, "_ _ _"]
Edit = Callable[[Image.Image], Image.Image]
_CAPTION = 0.15  # of the height
_QUALITY = 90  # of the JPEG that an edited picture is saved as


_FRAME = 0.1  # of the width, on each side
_SCREEN = 16 / 9  # height of a telephone's screen by its width
_BAR = 0.045  # of the screen's height
_CORNERS = ((0.06, 0.03), (0.98, 0.0), (0.93, 0.97), (0.02, 1.0))
"""Where the corners of a re-photographed picture are, as shares of the photograph's sides."""
_CAST = (1.08, 1.0, 0.86)  # a lamp's colour on red, green and blue
_GRAIN = 6.0  # levels, standard deviation


def edited(picture: Picture, name: str, beside: Sequence[Picture]) -> bytes:
    """Return the file that is uploaded after an edit of that name.

    Args:
        picture: The picture, grey or RGB.
        name: The edit, of `EDITS` or `COLLAGE`.
        beside: Three other pictures, for a collage.
    """
    edit, quality = EDITS.get(name) or (partial(_collage, list(map(_image, beside))), _QUALITY)
    buffer = io.BytesIO()
    edit(_image(picture)).convert("RGB").save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _image(picture: Picture) -> Image.Image:
    array = picture.permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(array[:, :, 0] if len(picture) == 1 else array)


def _cropped(share: float) -> Edit:
    """Cut off a share of the width and of the height, more of it at the left and the top."""

    def crop(image: Image.Image) -> Image.Image:
        across, down = (round(share * side) for side in image.size)
        left, top = round(0.7 * across), round(0.7 * down)
        box = (left, top, image.width - (across - left), image.height - (down - top))
        return image.crop(box)

    return crop


def _captioned(image: Image.Image) -> Image.Image:
    marked = image.convert("RGB")
    top = round((1 - _CAPTION) * image.height)
    draw = ImageDraw.Draw(marked)
    draw.rectangle((0, top, image.width, image.height), fill="black")
    draw.text((image.width // 10, top + 2), "LOOK WHO THIS IS", fill="white")
    return marked


def _resized(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC)


def _turned(quarters: Image.Transpose) -> Edit:
    return lambda image: image.transpose(quarters)


def _framed(image: Image.Image) -> Image.Image:
    border = round(_FRAME * image.width)
    return ImageOps.expand(image.convert("RGB"), border=border, fill="white")


def _halved(image: Image.Image) -> Image.Image:
    """Keep the middle half of the area."""
    side = 0.5**0.5
    across, down = (round((1 - side) / 2 * length) for length in image.size)
    return image.crop((across, down, image.width - across, image.height - down))


def _collage(others: Sequence[Image.Image], image: Image.Image) -> Image.Image:
    """Put the picture beside three others, two in a row; it is the second."""
    sheet = Image.new("RGB", (2 * image.width, 2 * image.height))
    for place, part in enumerate((others[0], image, others[1], others[2])):
        at = (place % 2 * image.width, place // 2 * image.height)
        sheet.paste(part.convert("RGB").resize(image.size), at)
    return sheet


def _screenshot(image: Image.Image) -> Image.Image:
    """Show the picture on a telephone: black above and below, and a bar with the time."""
    screen = Image.new("RGB", (image.width, round(_SCREEN * image.width)), "black")
    screen.paste(image.convert("RGB"), (0, (screen.height - image.height) // 2))
    bar = round(_BAR * screen.height)
    draw = ImageDraw.Draw(screen)
    draw.rectangle((0, 0, screen.width, bar), fill="#f2f2f2")
    draw.text((screen.width // 40, 0), "12:34", fill="black", font_size=0.8 * bar)
    draw.rectangle((0.9 * screen.width, 0.3 * bar, 0.97 * screen.width, 0.7 * bar), fill="black")
    return screen


def _photographed(image: Image.Image) -> Image.Image:
    """Take a photograph of the picture on a screen: askew, a little blurred, warm and grainy."""
    flat = image.convert("RGB")
    width, height = flat.size
    corners = [(x * width, y * height) for x, y in _CORNERS]
    seen = flat.transform(
        flat.size, Image.Transform.PERSPECTIVE, _perspective(corners, flat.size), _CUBIC
    ).filter(ImageFilter.GaussianBlur(0.004 * width))
    noise = np.random.default_rng(0).normal(0, _GRAIN, (height, width, 3))
    warm = np.asarray(seen) * np.array(_CAST) + noise
    return Image.fromarray(warm.clip(0, 255).astype(np.uint8))


def _perspective(corners: Sequence[tuple[float, float]], size: tuple[int, int]) -> list[float]:
    """Return the eight numbers that take the photograph's points to the picture's."""
    width, height = size
    rows, right = [], []
    ends = ((0, 0), (width, 0), (width, height), (0, height))
    for (x, y), (u, v) in zip(corners, ends, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    found: list[float] = np.linalg.solve(np.array(rows), np.array(right)).tolist()
    return found


_CUBIC = Image.Resampling.BICUBIC
COLLAGE = "collage of four"
EDITS: dict[str, tuple[Edit, int]] = {
    "saved again": (lambda image: image, 75),
    "JPEG 30": (lambda image: image, 30),
    "half the size": (_resized, _QUALITY),
    "brighter": (lambda image: ImageEnhance.Brightness(image).enhance(1.3), _QUALITY),
    "grey": (lambda image: image.convert("L"), _QUALITY),
    "cropped 5 %": (_cropped(0.05), _QUALITY),
    "cropped 10 %": (_cropped(0.10), _QUALITY),
    "caption": (_captioned, _QUALITY),
    "mirrored": (ImageOps.mirror, _QUALITY),
    "turned by 90": (_turned(Image.Transpose.ROTATE_90), _QUALITY),
    "turned by 180": (_turned(Image.Transpose.ROTATE_180), _QUALITY),
    "framed": (_framed, _QUALITY),
    "screenshot": (_screenshot, _QUALITY),
    "cropped to half": (_halved, _QUALITY),
    "re-photographed": (_photographed, _QUALITY),
}
"""Each with the quality of the JPEG that it is saved as."""
