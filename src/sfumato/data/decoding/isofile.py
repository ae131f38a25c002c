"""AVIF and HEIC, which share a container: decoded by Pillow's plugins, coloured by their boxes.

Turns and mirrors that the container prescribes (irot, imir) are applied; EXIF in it is not, as the
formats ask for.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from typing import Any, Final

from PIL import Image, features

from sfumato.data.decoding.orientation import exif_orientation
from sfumato.data.decoding.profiles import coded_profile
from sfumato.data.decoding.source import Source, several_in
from sfumato.errors import ImageError

_AVIF: Final = (b"avif", b"avis")
_HEIF: Final = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
HEIF_PLUGINS: Final = ("pi_heif", "pillow_heif")


def brand(content: bytes) -> str | None:
    """Return AVIF or HEIF by the brands that a file claims, None where it claims neither."""
    if content[4:8] != b"ftyp":
        return None
    end = min(struct.unpack_from(">I", content)[0], 512)
    brands = {content[8:12], *(content[i : i + 4] for i in range(16, end, 4))}
    if brands.intersection(_AVIF):
        return "AVIF"
    return "HEIF" if brands.intersection(_HEIF) else None


def read_avif(content: bytes) -> Source:
    """Return what an AVIF holds.

    Raises:
        ImageError: this Pillow was built without AVIF, or it is in high dynamic range.
        OSError, SyntaxError, ValueError: it is malformed.
    """
    if not features.check("avif"):
        raise ImageError(
            "expected a picture that can be read here, got an AVIF, for which this Pillow was not "
            "built, as those of the package index are; "
            "pip install --force-reinstall --only-binary pillow pillow"
        )
    picture = Image.open(BytesIO(content), formats=["AVIF"])
    # Pillow hands on the container's rotation as the orientation of EXIF, whatever the file's says.
    orientation = exif_orientation(picture.info.get("exif", b"").removeprefix(b"Exif\0\0"))
    return _source(content, picture, orientation)


def read_heif(content: bytes) -> Source:
    """Return what a HEIC (HEIF) holds: several pictures where it is a collection, as a burst.

    Raises:
        ImageError: no plugin is installed, or it is in high dynamic range.
        OSError, SyntaxError, ValueError: it is malformed.
    """
    plugin = next((name for name in HEIF_PLUGINS if find_spec(name) is not None), None)
    if plugin is None:
        raise ImageError(
            "expected a picture that can be read here, got a HEIC, which needs pi-heif; "
            "pip install 'sfumato[heic]'"
        )
    opened: Callable[..., Any] = import_module(plugin).HeifImageFile
    return _source(content, opened(BytesIO(content)), 1)


def _source(content: bytes, picture: Image.Image, orientation: int) -> Source:
    pictures, several = several_in(picture)
    return Source(
        size=picture.size,
        pictures=pictures,
        several=several,
        orientation=orientation,
        profile=picture.info.get("icc_profile") or _coded(content),
    )


def _coded(content: bytes) -> bytes | None:
    """Return the profile of the first colour box that gives code points."""
    place = content[: content.find(b"mdat") + 1 or len(content)].find(b"colrnclx")
    if place < 0:
        return None
    primaries, transfer = struct.unpack_from(">HH", content, place + 8)
    return coded_profile(primaries, transfer)
