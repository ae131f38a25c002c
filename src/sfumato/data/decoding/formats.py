"""Which formats are read, recognised by content and never by a file's name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Final

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from sfumato.data.decoding import bmpfile, giffile, isofile, jpegfile, pngfile
from sfumato.data.decoding.orientation import exif_orientation
from sfumato.data.decoding.source import Check, Source, each, one, several_in

FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "AVIF", "HEIF", "TIFF", "PNM")
"""What is decoded. Vector formats are left out: they are programs. So are the formats of image
editors, whose readers are large and whose files nobody uploads."""

_PHOTOMETRIC: Final = 0x0106  # TIFF: 0 is white
_STARTS: Final = {
    pngfile.SIGNATURE: "PNG",
    jpegfile.SIGNATURE: "JPEG",
    giffile.SIGNATURES[0]: "GIF",
    giffile.SIGNATURES[1]: "GIF",
    bmpfile.SIGNATURE: "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}
_OTHERS: Final = {  # first bytes, for a message that names what came
    b"%PDF": "a PDF",
    b"<svg": "an SVG",
    b"<?xm": "an XML or SVG file",
    b"8BPS": "a Photoshop file",
    b"PK\3\4": "a ZIP",
    b"\0\0\0\x0cjP": "a JPEG 2000",
    b"\0\0\0\x0cJXL": "a JPEG XL",
    b"\xff\x0a": "a JPEG XL",
    b"\0\0\1\0": "an ICO",
    b"\0\0\2\0": "a CUR",
    b"RIFF": "sound or video",
}


def format_of(content: bytes) -> str | None:
    """Return the format that the first bytes claim, None where it is none of `FORMATS`."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    if content[:1] == b"P" and content[1:2] in b"123456" and content[2:3] in b" \t\n\r#":
        return "PNM"
    found = next((name for start, name in _STARTS.items() if content.startswith(start)), None)
    return found or isofile.brand(content)


def guess(content: bytes) -> str:
    """Return what the bytes may be, for people."""
    named = format_of(content)
    if named is not None:
        return f"{'an' if named == 'AVIF' else 'a'} {named}"
    for start, name in _OTHERS.items():
        if content.startswith(start):
            return name
    if content[4:8] == b"ftyp":
        return "a video"
    return f"{len(content):,} bytes of something else"


def read(content: bytes, name: str) -> Source:
    """Open a file of a known format.

    Raises:
        ImageError: what reads the format is not installed, or it is in high dynamic range.
        OSError, SyntaxError, ValueError and others: it is malformed.
    """
    return _READERS[name](content)


def _webp(content: bytes) -> Source:
    picture = Image.open(BytesIO(content), formats=["WEBP"])
    pictures, several = several_in(picture)
    return Source(
        size=picture.size,
        pictures=pictures,
        several=several,
        # Chromium shows a WebP as it is stored, other viewers turn it.
        other_orientation=exif_orientation(picture.info.get("exif", b"").removeprefix(b"Exif\0\0")),
        profile=picture.info.get("icc_profile"),
    )


def _tiff(content: bytes) -> Source:
    picture = TiffImageFile(BytesIO(content))

    def pictures(check: Check, least: tuple[int, int] | None) -> Iterator[Image.Image]:
        def page(size: tuple[int, int]) -> None:
            picture.info.pop("xmp", None)  # Pillow would turn the page by it
            check(size)

        for found in each(picture)(page, least):
            inverted = found.mode.startswith("I;16") and picture.tag_v2.get(_PHOTOMETRIC) == 0
            yield Image.fromarray(~np.asarray(found)) if inverted else found

    several = bool(getattr(picture, "is_animated", False))
    profile = picture.info.get("icc_profile")
    return Source(size=picture.size, pictures=pictures, several=several, profile=profile)


def _pnm(content: bytes) -> Source:
    picture = Image.open(BytesIO(content), formats=["PPM"])

    def pictures(check: Check, least: tuple[int, int] | None) -> Iterator[Image.Image]:
        for found in one(picture)(check, least):
            wide = found.mode == "I"  # of 0 to 65,535, whatever the file's own largest value
            yield Image.fromarray((np.asarray(found) >> 8).astype(np.uint8)) if wide else found

    return Source(size=picture.size, pictures=pictures)


_READERS: Final[dict[str, Callable[[bytes], Source]]] = {
    "PNG": pngfile.read_png,
    "JPEG": jpegfile.read_jpeg,
    "GIF": giffile.read_gif,
    "WEBP": _webp,
    "BMP": bmpfile.read_bmp,
    "AVIF": isofile.read_avif,
    "HEIF": isofile.read_heif,
    "TIFF": _tiff,
    "PNM": _pnm,
}
