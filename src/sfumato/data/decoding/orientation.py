"""How a picture is turned before it is shown: the EXIF orientation, read as browsers read it."""

from __future__ import annotations

import struct
from typing import Final

from PIL import Image

UPRIGHT: Final = 1
_TAG: Final = 0x0112
_SHORT: Final = 3
_METHODS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def exif_orientation(block: bytes) -> int:
    """Return the orientation (1 to 8) of an EXIF block, which starts with a TIFF header.

    One that is broken, or states it in any other way than as one 16-bit number, turns nothing:
    browsers show such pictures as they are stored. Pillow's `getexif` would also take it from XMP
    and from text, which browsers ignore.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None:
        return UPRIGHT
    try:
        (place,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, place)
        for entry in range(place + 2, place + 2 + 12 * count, 12):
            tag, kind, number, value = struct.unpack_from(f"{order}HHIH", block, entry)
            if tag == _TAG:
                return value if kind == _SHORT and number == 1 and value in _METHODS else UPRIGHT
    except struct.error:
        pass
    return UPRIGHT


def turned(picture: Image.Image, orientation: int) -> Image.Image:
    """Return the picture as it is shown under an orientation."""
    method = _METHODS.get(orientation)
    return picture if method is None else picture.transpose(method)
