"""Colours to sRGB, which is what screens, browsers and every network here take numbers for."""

from __future__ import annotations

from io import BytesIO
from typing import Final

import numpy as np
from PIL import Image, ImageChops, ImageCms

_SPACES: Final = {"L": ("GRAY", "RGB "), "RGB": ("RGB ",), "CMYK": ("CMYK",), "LAB": ("Lab ",)}
_VERSIONS: Final = (b"\2", b"\3", b"\4")
_CLASSES: Final = (b"mntr", b"scnr", b"prtr", b"spac", b"link", b"abst", b"nmcl")
_GRID: Final = 9  # values a channel at which it is tried whether a profile changes anything
_SAME: Final = 1  # level by which a conversion may differ from none: rounding


def is_profile(content: bytes) -> bool:
    """Return whether browsers take these bytes for an ICC profile."""
    return _opened(content) is not None


def _opened(content: bytes) -> ImageCms.ImageCmsProfile | None:
    """Return a profile as LittleCMS reads it, once it says of itself what browsers do not ask."""
    if content[8:9] not in _VERSIONS or content[12:16] not in _CLASSES:
        return None
    count = int.from_bytes(content[128:132])
    names = {content[i : i + 4]: i for i in range(132, min(132 + 12 * count, len(content)), 12)}
    if b"A2B0" in names and b"A2B1" in names:
        # Browsers take the first. So does LittleCMS for perceptual intent, which moves black.
        place = names[b"A2B1"]
        content = content[:place] + b"none" + content[place + 4 :]
    plain = len(content).to_bytes(4) + content[4:12] + _CLASSES[0] + content[16:]
    try:
        return ImageCms.ImageCmsProfile(BytesIO(plain))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def to_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """Return a picture (L, RGB, CMYK or LAB) in sRGB (L or RGB) by its ICC profile.

    A profile that is malformed, or for another kind of picture, is ignored, as browsers do; so is
    one that changes nothing.
    """
    found = _opened(profile)
    if found is None:
        return picture
    try:
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
