"""A photograph as its file has it, and the same file with other pixels: format and profile stay.

What is written is made of pixels alone, so that nothing else of the file goes along: no EXIF, no
place, no text, no thumbnail, no second picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, JpegImagePlugin
from torch import Tensor

from sfumato.data.decoding.colour import is_profile
from sfumato.data.decoding.decode import ImageLimits, OpenedPicture, decode_image, open_picture
from sfumato.data.decoding.orientation import turned
from sfumato.errors import ImageError

LIMITS: Final = ImageLimits(max_bytes=256 << 20, kept_pixels=64_000_000)
"""A photograph keeps its size, so what is decoded is not made smaller."""
_SUFFIXES: Final = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "WEBP": (".webp",),
}
_LOSSY: Final = ("HEIF", "AVIF")
_QUALITY: Final = 92
_PLAIN_MODES: Final = ("L", "RGB")


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """A photograph, upright."""

    pixels: UInt8[Tensor, "c h w"]
    """Grey or RGB: the file's own numbers where it has 8 bits and no transparency, else sRGB."""
    format: str
    """JPEG, PNG or WEBP: what is written."""
    options: Mapping[str, Any]
    """How Pillow writes it as the file was written."""

    def rgb(self) -> UInt8[Tensor, "3 h w"]:
        """Return the picture as a detector takes it."""
        return self.pixels.expand(3, -1, -1)

    def encoded(self, pixels: UInt8[Tensor, "c h w"]) -> bytes:
        """Return a file with these pixels."""
        array = pixels.permute(1, 2, 0).contiguous().numpy()
        picture = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
        try:
            return _saved(picture, self.format, self.options)
        except OSError:
            if not self.options.get("progressive"):
                raise
            # Pillow keeps two bytes a pixel for a progressive file, and fine noise takes more.
            return _saved(picture, self.format, {**self.options, "progressive": False})

    def renamed(self, file: str) -> str:
        """Return a file's name with the ending of the format that is written."""
        return _renamed(file, self.format)


def read_original(path: Path) -> Original:
    """Read a photograph.

    Raises:
        ImageError: it cannot be read, or is none.
    """
    return open_original(_content(path))


def written_name(path: Path, file: str) -> str:
    """Return what a photograph is called in a release if it is alone, by its header.

    Raises:
        ImageError: it cannot be read, or is none.
    """
    return _renamed(file, _kind(open_picture(_content(path), limits=LIMITS).name))


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(LIMITS.max_bytes + 1)
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror or error}") from error


def open_original(content: bytes) -> Original:
    """Decode one still photograph and note how it was written.

    JPEG, PNG and WebP stay what they are; HEIC and AVIF become JPEG, all others PNG. What has 16
    bits, CMYK, a palette or transparency is shown on white in sRGB with 8 bits.

    Raises:
        ImageError: as `decode_image`: animations are refused.
    """
    opened = open_picture(content, limits=LIMITS)
    upright = decode_image(content, limits=LIMITS)  # checks, and refuses what is malformed
    kind = _kind(opened.name)
    stored = next(opened.source.pictures(lambda _: None, None))
    options = _written(kind, opened, stored, content)
    if stored.mode not in _PLAIN_MODES or "transparency" in stored.info:
        return Original(pixels=upright, format=kind, options=options)
    profile = opened.source.profile
    if profile is None or not is_profile(profile):
        return Original(pixels=upright, format=kind, options=options)
    array = np.asarray(turned(stored, opened.source.orientation))
    rows = array[:, :, None] if array.ndim == 2 else array
    pixels = torch.from_numpy(rows.transpose(2, 0, 1).copy())
    return Original(pixels=pixels, format=kind, options={**options, "icc_profile": profile})


def _saved(picture: Image.Image, format_: str, options: Mapping[str, Any]) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, format_, **options)
    return buffer.getvalue()


def _kind(format_: str) -> str:
    """Return the format in which a file of this one is written."""
    return format_ if format_ in _SUFFIXES else "JPEG" if format_ in _LOSSY else "PNG"


def _renamed(file: str, kind: str) -> str:
    path, endings = PurePosixPath(file), _SUFFIXES[kind]
    return file if path.suffix.lower() in endings else str(path.with_suffix(endings[0]))


def _written(
    kind: str, opened: OpenedPicture, stored: Image.Image, content: bytes
) -> dict[str, Any]:
    """Return how Pillow is told to write what the file was."""
    if kind == "WEBP":
        return {"lossless": True} if _is_lossless(content) else {"quality": _QUALITY, "method": 4}
    if kind == "PNG":
        return {}
    tables = _tables(stored) if opened.name == "JPEG" else None
    if not tables or stored.mode not in _PLAIN_MODES:
        return {"quality": _QUALITY}
    options: dict[str, Any] = {"qtables": tables, "progressive": "progressive" in stored.info}
    sampling = JpegImagePlugin.get_sampling(stored)
    return options | ({"subsampling": sampling} if sampling >= 0 else {})


def _tables(stored: Image.Image) -> list[list[int]] | None:
    """Return a JPEG's quantisation tables, one a channel; None where it lacks one.

    A file numbers its tables as it likes, and Pillow writes the first to the first channel.
    """
    there = getattr(stored, "quantization", {})
    used = [table for *_, table in getattr(stored, "layer", ())]
    if not used or any(number not in there for number in used):
        return None
    while used[1:] and used[-1] == used[-2]:  # Pillow gives the last to the channels that are left
        used.pop()
    return [list(there[number]) for number in used]


def _is_lossless(content: bytes) -> bool:
    """Return whether a WebP has its pixels in a lossless chunk."""
    place = 12
    while place + 8 <= len(content):
        kind, length = content[place : place + 4], content[place + 4 : place + 8]
        if kind in (b"VP8 ", b"VP8L"):
            return kind == b"VP8L"
        place += 8 + (int.from_bytes(length, "little") + 1) // 2 * 2
    return False
