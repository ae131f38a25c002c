"""Colours to sRGB, which is what screens, browsers and every network here take numbers for."""

from __future__ import annotations

from io import BytesIO
from typing import Final

import numpy as np
from PIL import Image, ImageChops, ImageCms

_SPACES: Final = {"L": ("GRAY", "RGB "), "RGB": ("RGB ",), "CMYK": ("CMYK",), "LAB": ("Lab ",)}
_GRID: Final = 9  # values a channel at which it is tried whether a profile changes anything
_SAME: Final = 1  # level by which a conversion may differ from none: rounding


def is_profile(content: bytes) -> bool:
    """Return whether these bytes are an ICC profile."""
    try:
        ImageCms.ImageCmsProfile(BytesIO(content))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return False
    return True


def to_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """Return a picture (L, RGB, CMYK or LAB) in sRGB (L or RGB) by its ICC profile.

    A profile that is malformed, or for another kind of picture, is ignored, as browsers do; so is
    one that changes nothing.
    """
    try:
        found = ImageCms.ImageCmsProfile(BytesIO(_first_table(profile)))
        space = found.profile.xcolor_space
        if space not in _SPACES.get(picture.mode, ()):
            return picture
        if picture.mode == "L":
            return _grey(picture, found, space)
        convert = _transform(found, picture.mode)
        if picture.mode == "RGB" and _changes_nothing(convert):
            return picture
        return convert.apply(_inked(picture) if picture.mode == "CMYK" else picture)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return picture


def _first_table(profile: bytes) -> bytes:
    """Return the profile with its perceptual table (A2B0) alone, which browsers take if there.

    Asked for that intent, LittleCMS would move the black point, which browsers do not.
    """
    count = int.from_bytes(profile[128:132])
    names = {profile[i : i + 4]: i for i in range(132, min(132 + 12 * count, len(profile)), 12)}
    if b"A2B0" not in names or b"A2B1" not in names:
        return profile
    place = names[b"A2B1"]
    return profile[:place] + b"none" + profile[place + 4 :]


def _inked(picture: Image.Image) -> Image.Image:
    """Return a CMYK picture with its black in the three colours, as Chromium converts it."""
    colours = ImageChops.invert(picture.convert("RGB"))
    return Image.merge("CMYK", (*colours.split(), Image.new("L", picture.size)))


def _transform(profile: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.NOWHITEONWHITEFIXUP
    return ImageCms.ImageCmsTransform(profile, srgb, mode, "RGB", intent, flags=flags)


def _grey(picture: Image.Image, profile: ImageCms.ImageCmsProfile, space: str) -> Image.Image:
    """Convert by a table of the 256 greys; grey stays one channel where it stays grey."""
    ramp = Image.frombytes("L", (256, 1), bytes(range(256)))
    mode = "L" if space == "GRAY" else "RGB"
    levels = np.asarray(_transform(profile, mode).apply(ramp.convert(mode)))[0].astype(int)
    if int(np.ptp(levels, axis=1).max()) <= _SAME:
        return picture.point(levels[:, 1].tolist())
    channels = [picture.point(levels[:, i].tolist()) for i in range(3)]
    return Image.merge("RGB", channels)


def _changes_nothing(convert: ImageCms.ImageCmsTransform) -> bool:
    steps = np.linspace(0, 255, _GRID).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(1, -1, 3)
    found = np.asarray(convert.apply(Image.fromarray(grid))).astype(int)
    return int(np.abs(found - grid).max()) <= _SAME
