"""JPEG: the first picture of the file, with the orientation and the profile of its own header.

A camera's second pictures (MPO: depth, gain map, preview) are no frames, and nobody shows them.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from io import BytesIO
from typing import Final

from PIL import Image

from sfumato.data.decoding.orientation import UPRIGHT, exif_orientation
from sfumato.data.decoding.source import Source, one

SIGNATURE: Final = b"\xff\xd8\xff"
_SCAN, _END = 0xDA, 0xD9
_SEGMENT_LIMIT: Final = 10_000  # a profile and a thumbnail take a few hundred
_END_MARKER: Final = b"\xff\xd9"
_MARKERS: Final = re.compile(b"\xff[\xd9\xda]")  # of the end, and of a scan
_BARE: Final = {0x01, *range(0xD0, 0xD9)}  # markers without content
_EXIF: Final = b"Exif\0"
_ICC: Final = b"ICC_PROFILE\0"
# EXIF and XMP, profile and MPO, Photoshop's blocks, comments. What Pillow takes from them is not
# what browsers do, and what is broken in them makes it warn or refuse.
_LEFT_OUT: Final = {0xE1, 0xE2, 0xED, 0xFE}


def read_jpeg(content: bytes) -> Source:
    """Return what a JPEG holds.

    Raises:
        OSError, SyntaxError, ValueError: it is malformed.
    """
    kept, exif, icc = [content[:2]], None, list[bytes]()
    place = 2
    for start, marker, end in _segments(content):
        if marker in _LEFT_OUT:
            body = content[start + 4 : end]
            if marker == 0xE1 and exif is None and body.startswith(_EXIF):
                exif = body[6:]
            elif marker == 0xE2 and body.startswith(_ICC):
                icc.append(body[len(_ICC) :])
            kept.append(content[place:start])
            place = end
    kept.append(content[place:])
    picture = Image.open(BytesIO(b"".join(kept)), formats=["JPEG"])
    return Source(
        size=picture.size,
        pictures=one(picture),
        passes=_scans(content),
        orientation=UPRIGHT if exif is None else exif_orientation(exif),
        profile=_joined(icc),
    )


def _scans(content: bytes) -> int:
    """Return how many scans the picture has. A scan of a few bytes may go over all its pixels."""
    # Behind the segments before the first scan: what looks like a marker in them is none.
    start = max((end for _, _, end in _segments(content)), default=2)
    scans = 0
    for marker in _MARKERS.finditer(content, start):
        if marker[0] == _END_MARKER:
            break
        scans += 1
    return max(1, scans)


def _segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield start, marker and end of each segment before the first scan."""
    place = 2
    for _ in range(_SEGMENT_LIMIT):
        start = content.find(b"\xff", place)
        if start < 0 or start + 4 > len(content):
            return
        marker = content[start + 1]
        if marker in (0x00, 0xFF) or marker in _BARE:
            place = start + (1 if marker == 0xFF else 2)
            continue
        if marker in (_SCAN, _END):
            return
        (length,) = struct.unpack_from(">H", content, start + 2)
        place = start + 2 + max(2, length)
        yield start, marker, place
    raise ValueError(f"it has more than {_SEGMENT_LIMIT:,} segments before its pixels")


def _joined(parts: list[bytes]) -> bytes | None:
    """Return the profile of its numbered parts, the first of each; None where one is missing."""
    count = parts[0][1] if parts and len(parts[0]) > 2 else 0
    numbered: dict[int, bytes] = {}
    for part in parts:
        if len(part) > 2 and part[1] == count:
            numbered.setdefault(part[0], part[2:])
    if count == 0 or sorted(numbered) != list(range(1, count + 1)):
        return None
    return b"".join(numbered[i] for i in sorted(numbered))
