"""BMP: of 16 and 32 bits a pixel in any fields. Pillow knows a few, and little of transparency."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import numpy as np
from jaxtyping import Integer, UInt8
from PIL import Image

from sfumato.data.decoding.source import Check, Source

SIGNATURE: Final = b"BM"
_PLAIN, _FIELDS, _FIELDS_WITH_ALPHA = 0, 3, 6  # what is called compression
_WITH_ALPHA: Final = 56  # bytes of the least header that has a field of transparency
_USUAL: Final = {16: (0x7C00, 0x3E0, 0x1F), 32: (0xFF0000, 0xFF00, 0xFF)}
_LEAST_HEADER: Final = 40
_BAND: Final = 1 << 20  # pixels that are taken apart at once
_TYPES: Final = {16: "<u2", 32: "<u4"}


@dataclass(frozen=True, slots=True)
class _Fields:
    """Where the rows of a BMP lie, and which bits of a pixel are its colours."""

    start: int
    width: int
    height: int
    down: bool
    """Whether the first row is the upper one."""
    bits: int
    masks: tuple[int, int, int, int]


def read_bmp(content: bytes) -> Source:
    """Return what a BMP holds.

    Raises:
        OSError, SyntaxError, ValueError: it is malformed.
    """
    fields = _fields(content)
    if fields is not None:
        return Source(size=(fields.width, fields.height), pictures=_Pictures(content, fields))
    picture = Image.open(BytesIO(content), formats=["BMP"])

    def pictures(check: Check, _: tuple[int, int] | None) -> Iterator[Image.Image]:
        check(picture.size)
        picture.load()
        yield _shown(picture)

    return Source(size=picture.size, pictures=pictures)


@dataclass(frozen=True, slots=True)
class _Pictures:
    content: bytes
    fields: _Fields

    def __call__(self, check: Check, _: tuple[int, int] | None) -> Iterator[Image.Image]:
        check((self.fields.width, self.fields.height))
        yield _shown(_decoded(self.content, self.fields))


def _shown(picture: Image.Image) -> Image.Image:
    # Browsers take a fourth channel for transparency only where it is not all noughts.
    hidden = picture.mode == "RGBA" and picture.getchannel("A").getextrema()[1] == 0
    return picture.convert("RGB") if hidden else picture


def _fields(content: bytes) -> _Fields | None:
    """Return the fields of a BMP whose pixels have some; None of any other."""
    head = content[:70].ljust(70, b"\0")  # the shortest BMP has 30 bytes
    start, header, width, height, _, bits, compression = struct.unpack_from("<10xIIiiHHI", head)
    if header < _LEAST_HEADER or bits not in _TYPES:
        return None
    if compression not in (_PLAIN, _FIELDS, _FIELDS_WITH_ALPHA):
        return None
    if width < 1 or height == 0:
        raise ValueError(f"it says that it has {width}x{height} pixels")
    *colours, alpha = struct.unpack_from("<4I", head, 54)
    if compression != _FIELDS_WITH_ALPHA and header < _WITH_ALPHA:
        alpha = 0
    red, green, blue = _USUAL[bits] if compression == _PLAIN else colours
    masks = (red, green, blue, alpha)
    if sum(map(int.bit_count, masks)) > (red | green | blue | alpha).bit_count():
        raise ValueError("two colours have the same bits")
    return _Fields(start, width, abs(height), height < 0, bits, masks)


def _decoded(content: bytes, fields: _Fields) -> Image.Image:
    kind = np.dtype(_TYPES[fields.bits])
    stride = -(-fields.width * kind.itemsize // 4) * 4
    size = stride * fields.height
    if len(content) < fields.start + size:
        raise OSError("image file is truncated")
    rows = np.frombuffer(content, kind, size // kind.itemsize, fields.start)
    rows = rows.reshape(fields.height, -1)[:, : fields.width]
    if not fields.down:
        rows = rows[::-1]
    masks = fields.masks if fields.masks[3] else fields.masks[:3]
    made = np.empty((fields.height, fields.width, len(masks)), np.uint8)
    at_once = max(1, _BAND // fields.width)
    for top in range(0, fields.height, at_once):
        for channel, mask in enumerate(masks):
            made[top : top + at_once, :, channel] = _levels(rows[top : top + at_once], mask)
    return Image.fromarray(made)


def _levels(rows: Integer[np.ndarray, "h w"], mask: int) -> UInt8[np.ndarray, "h w"]:
    """Return the samples of a field in 8 bits: of more the upper ones, fewer spread evenly."""
    low, wide = (mask & -mask).bit_length() - 1, mask.bit_count()
    if mask and mask >> low != 2**wide - 1:
        raise ValueError("the bits of a colour lie apart")
    if not mask:
        return np.zeros(rows.shape, np.uint8)
    values = (rows & rows.dtype.type(mask)) >> (low + max(0, wide - 8))
    table = np.round(np.arange(2 ** min(wide, 8)) * 255 / (2 ** min(wide, 8) - 1))
    levels: UInt8[np.ndarray, "h w"] = table.astype(np.uint8)[values]
    return levels
