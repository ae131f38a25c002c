"""Photographs for tests: one real face, in the public domain, and files as phones write them."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from torch import Tensor

skimage_data = pytest.importorskip("skimage.data", reason="needs the extra `photos`")
BOX = (180, 55, 275, 180)
"""Around the face of `astronaut`."""


def astronaut() -> Tensor:
    """Return NASA's portrait of Eileen Collins, 512x512: a face in the public domain."""
    return torch.from_numpy(skimage_data.astronaut().copy()).permute(2, 0, 1).contiguous()


def picture() -> Image.Image:
    return Image.fromarray(skimage_data.astronaut())


@cache
def srgb() -> bytes:
    """Return one profile: each that is made holds the second in which it was."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def phone_jpeg(*, orientation: int = 6) -> bytes:
    """Return a JPEG as a phone writes it: stored sideways, with a place and a text."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "A phone"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 30.0)})
    stored = picture().transpose(Image.Transpose.ROTATE_90) if orientation == 6 else picture()
    buffer = BytesIO()
    stored.save(buffer, "JPEG", exif=exif, icc_profile=srgb(), comment=b"private", quality=80)
    return buffer.getvalue()


def encoded(image: Image.Image, format_: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def pixels_of(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)
