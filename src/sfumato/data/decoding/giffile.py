"""GIF: its pictures one by one, composed as browsers do.

Pillow fills what a picture leaves free with the background colour, which no viewer shows.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from typing import Final

import numpy as np
from PIL import Image

from sfumato.data.decoding.layers import Layer, Then, composed
from sfumato.data.decoding.source import Check, Source

SIGNATURES: Final = (b"GIF87a", b"GIF89a")
_EXTENSION, _PICTURE, _END = 0x21, 0x2C, 0x3B
_CONTROL: Final = 0xF9
_CLEAR: Final = 2  # disposal methods
_RESTORE: Final = (3, 4)  # an old tool wrote 4, and browsers follow it


@dataclass(frozen=True, slots=True)
class _Part:
    """One picture of a GIF, as a GIF of its own."""

    content: bytes
    place: tuple[int, int]
    size: tuple[int, int]
    key: int | None
    """Index that is transparent."""
    then: Then


def read_gif(content: bytes) -> Source:
    """Return what a GIF holds; of its pictures no more than two are looked for here.

    Raises:
        ValueError, IndexError, struct.error: it is malformed.
    """
    some = list(islice(_parts(content), 2))
    if not some:
        raise ValueError("there is no picture in it")
    first, several = some[0], len(some) > 1
    size = _screen(content, first)

    def pictures(check: Check, _: tuple[int, int] | None) -> Iterator[Image.Image]:
        if not several and (first.place, first.size, first.key) == ((0, 0), size, None):
            check(size)
            yield _opened(first)
        else:
            yield from composed((_layer(part, size, check) for part in _parts(content)), size)

    return Source(size=size, pictures=pictures, several=several)


def _screen(content: bytes, first: _Part) -> tuple[int, int]:
    """Return width and height of the canvas, which grows for the first picture alone."""
    width, height = struct.unpack_from("<HH", content, 6)
    (left, top), (wide, tall) = first.place, first.size
    return max(width, left + wide), max(height, top + tall)


def _layer(part: _Part, size: tuple[int, int], check: Check) -> Layer:
    check((max(size[0], part.size[0]), max(size[1], part.size[1])))
    return Layer(lambda: _decoded(part), part.place, part.size, True, part.then)


def _opened(part: _Part) -> Image.Image:
    picture = Image.open(BytesIO(part.content), formats=["GIF"])
    picture.load()
    return picture


def _decoded(part: _Part) -> Image.Image:
    picture = _opened(part)
    indices = np.asarray(picture)
    colours = picture.convert("RGBA")
    if part.key is not None:
        alpha = np.where(indices == part.key, 0, 255).astype(np.uint8)
        colours.putalpha(Image.fromarray(alpha))
    return colours


def _parts(content: bytes) -> Iterator[_Part]:
    palette, place = _palette(content, content[10], 13)
    flags, key = 0, None
    while place < len(content) and content[place] != _END:
        kind = content[place]
        if kind == _EXTENSION:
            blocks, end = _blocks(content, place + 2)
            if content[place + 1] == _CONTROL and len(blocks) >= 4:
                flags = blocks[0]
                key = blocks[3] if flags & 1 else None
            place = end
        elif kind == _PICTURE:
            left, top, width, height, look = struct.unpack_from("<4HB", content, place + 1)
            own, start = _palette(content, look, place + 10)
            _, place = _blocks(content, start + 1)
            colours = own or palette or bytes(768)
            yield _Part(
                _alone(width, height, look & 0x40, colours, content[start:place]),
                (left, top),
                (width, height),
                key,
                _then(flags >> 2 & 7),
            )
            flags, key = 0, None
        elif kind == 0:
            place += 1  # an empty block too many; some viewers go on behind it
        else:
            raise ValueError(f"there is no block of kind {kind}")


def _then(disposal: int) -> Then:
    return "clear" if disposal == _CLEAR else "restore" if disposal in _RESTORE else "keep"


def _palette(content: bytes, flags: int, place: int) -> tuple[bytes, int]:
    """Return the colours at a place, if the flags say that there are any, and where they end."""
    end = place + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    return content[place:end], end


def _blocks(content: bytes, place: int) -> tuple[bytes, int]:
    """Return the first of a chain of blocks, and where the chain ends."""
    first = content[place + 1 : place + 1 + content[place]]
    while place < len(content) and content[place]:
        place += 1 + content[place]
    return first, min(place + 1, len(content))


def _alone(width: int, height: int, interlaced: int, colours: bytes, data: bytes) -> bytes:
    bits = (len(colours) // 3).bit_length() - 2
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80 | bits, 0, 0) + colours
    return screen + b"," + struct.pack("<4HB", 0, 0, width, height, interlaced) + data + b";"
