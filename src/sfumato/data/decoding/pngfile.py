"""PNG, still and animated: its chunks are told apart here, and only the pixels go to Pillow.

Pillow would take an orientation from text, refuse a picture for a large text beside it, and ignore
16-bit colour keys, gAMA, cHRM and cICP.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Final

import numpy as np
from jaxtyping import Int64
from PIL import Image

from sfumato.data.decoding.colour import is_profile
from sfumato.data.decoding.layers import Layer, Then, composed, eight_bits
from sfumato.data.decoding.orientation import UPRIGHT, exif_orientation
from sfumato.data.decoding.profiles import SRGB, Primaries, coded_profile, matrix_profile
from sfumato.data.decoding.source import Check, Pictures, Source

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_ANCILLARY: Final = 0x20  # the bit of a kind that says that a reader may do without
_CHUNK_LIMIT: Final = 100_000  # an encoder writes a few for every megabyte
_PROFILE_LIMIT: Final = 4 << 20  # bytes of an inflated profile; larger ones are ignored
_LIKE_SRGB: Final = (2.2 * 0.95, 2.2 * 1.05)  # exponents that browsers take for sRGB's curve
_BAND: Final = 1 << 20  # pixels whose colour keys are looked for at once
_PREVIOUS: Final = 2  # the disposal that brings back what was there before
_GREY, _RGB = 0, 2  # the colour types that may have a transparent colour
_PALETTE: Final = 3


@dataclass(slots=True)
class _Frame:
    """An animation's frame: its fcTL chunk and its compressed pixels."""

    control: bytes
    data: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class _Parts:
    """What a PNG's chunks hold."""

    head: bytes
    """Width, height, depth, colour type and the three methods: 13 bytes."""
    still: list[bytes] = field(default_factory=lambda: [SIGNATURE])
    """The chunks that Pillow gets."""
    shared: list[bytes] = field(default_factory=list)
    """Those of them that every frame needs: palette and its transparency."""
    notes: dict[bytes, bytes] = field(default_factory=dict)
    """The first of each chunk before the pixels that says how to show them."""
    late_exif: bytes = b""
    """An eXIf chunk after the pixels."""
    colours: int = 0
    """How many colours the palette has, once it was there."""
    frames: list[_Frame] = field(default_factory=list)
    default_shown: bool = False
    """Whether the still picture is the animation's first frame."""

    @property
    def depth(self) -> int:
        return self.head[8]

    @property
    def kind(self) -> int:
        return self.head[9]

    @property
    def lacking(self) -> int:
        """How many indices have no colour in the palette."""
        return max(0, (1 << min(self.depth, 8)) - self.colours)

    @property
    def animated(self) -> bool:
        return b"acTL" in self.notes and any(frame.data for frame in self.frames)


_NOTES: Final = (b"tRNS", b"eXIf", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"acTL")


def read_png(content: bytes) -> Source:
    """Return what a PNG holds.

    Raises:
        ImageError: it is in high dynamic range.
        OSError, SyntaxError, ValueError: it is malformed.
    """
    parts = _parts(content)
    still = Image.open(BytesIO(b"".join(parts.still)), formats=["PNG"])
    early = parts.notes.get(b"eXIf")
    return Source(
        size=still.size,
        pictures=_animation(parts) if parts.animated else _still(parts, still),
        several=parts.animated,
        orientation=UPRIGHT if early is None else exif_orientation(early),
        other_orientation=exif_orientation(parts.late_exif) if early is None else UPRIGHT,
        profile=_profile(parts.notes),
    )


def _parts(content: bytes) -> _Parts:
    parts = _Parts(content[16:29])
    if len(parts.head) < 13:
        raise ValueError("its header is cut short")
    pixels, last = False, b""
    for kind, start, end in _chunks(content):
        body = content[start + 8 : end - 4]
        if kind == b"IDAT" and not pixels:
            pixels, parts.default_shown = True, bool(parts.frames)
        if kind == b"PLTE" and parts.kind == _PALETTE:
            _take_palette(parts, body)
        elif kind == b"IDAT" and pixels and last not in (b"", b"IDAT"):
            continue  # behind other chunks they are none any more: what is shown ends before
        elif not kind[0] & _ANCILLARY:
            parts.still.append(content[start:end])
        if pixels:
            last = kind
        _note(parts, kind, body, pixels=pixels)
    return parts


def _take_palette(parts: _Parts, body: bytes) -> None:
    """Keep the first palette, filled up with its last colour: browsers show that beyond its end."""
    if parts.colours or len(body) < 3:
        return
    parts.colours = len(body) // 3
    colours = body[: 3 * parts.colours]
    _share(parts, _chunk(b"PLTE", colours + parts.lacking * colours[-3:]))


def _take_alphas(parts: _Parts, body: bytes) -> None:
    """Keep the transparency of a palette's colours; those beyond its end have its last one's."""
    alphas = body[: parts.colours].ljust(parts.colours, b"\xff")
    _share(parts, _chunk(b"tRNS", alphas + parts.lacking * alphas[-1:]))


def _share(parts: _Parts, chunk: bytes) -> None:
    parts.shared.append(chunk)
    parts.still.append(chunk)


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind, the start and the end of each chunk, the last of which may be cut short."""
    place = len(SIGNATURE)
    for _ in range(_CHUNK_LIMIT):
        if place + 8 > len(content):
            return
        length, kind = struct.unpack_from(">I4s", content, place)
        yield kind, place, place + 12 + length
        place += 12 + length
    raise ValueError(f"it has more than {_CHUNK_LIMIT:,} chunks")


def _note(parts: _Parts, kind: bytes, body: bytes, *, pixels: bool) -> None:
    if kind == b"fcTL" and len(body) >= 26:
        parts.frames.append(_Frame(body))
    elif kind == b"fdAT" and parts.frames:
        parts.frames[-1].data.append(body[4:])
    elif kind == b"tRNS":
        if not pixels and kind not in parts.notes and _is_transparency(parts, body):
            parts.notes[kind] = body
            if parts.kind == _PALETTE:
                _take_alphas(parts, body)
    elif kind in _NOTES and not pixels:
        parts.notes.setdefault(kind, body)
    elif kind == b"eXIf":
        parts.late_exif = parts.late_exif or body


def _is_transparency(parts: _Parts, body: bytes) -> bool:
    """Return whether browsers take a tRNS chunk; one that they do not take hides no later one."""
    if parts.kind == _PALETTE:
        return parts.colours > 0
    return len(body) >= {_GREY: 2, _RGB: 6}.get(parts.kind, 0)


def _profile(notes: dict[bytes, bytes]) -> bytes | None:
    """Return the profile that counts, in the browsers' order: cICP, iCCP, sRGB, gAMA with cHRM."""
    coded = notes.get(b"cICP", b"")
    if len(coded) == 4 and coded[2:] == b"\0\1":
        found = coded_profile(coded[0], coded[1])
        if found is not None or (coded[0], coded[1]) == (1, 13):
            return found
    inflated = _inflated(notes.get(b"iCCP", b""))
    if inflated is not None:
        return inflated
    return None if b"sRGB" in notes else _written(notes.get(b"gAMA", b""), notes.get(b"cHRM"))


def _written(gamma: bytes, points: bytes | None) -> bytes | None:
    if len(gamma) != 4 or gamma == bytes(4):
        return None
    exponent = 100_000 / struct.unpack(">I", gamma)[0]
    if points is None and _LIKE_SRGB[0] <= exponent <= _LIKE_SRGB[1]:
        return None
    primaries = SRGB if points is None else _points(points)
    return None if primaries is None else matrix_profile(primaries, (exponent,))


def _points(chunk: bytes) -> Primaries | None:
    if len(chunk) != 32:
        return None
    v = [value / 100_000 for value in struct.unpack(">8I", chunk)]
    return ((v[0], v[1]), (v[2], v[3]), (v[4], v[5]), (v[6], v[7]))


def _inflated(chunk: bytes) -> bytes | None:
    """Return the profile of an iCCP chunk; None where it is too large, or none."""
    _, separator, packed = chunk.partition(b"\0")
    if not separator or packed[:1] != b"\0":
        return None
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(packed[1:], _PROFILE_LIMIT)
    except zlib.error:
        return None
    return profile if unpacker.eof and is_profile(profile) else None


def _still(parts: _Parts, still: Image.Image) -> Pictures:
    def pictures(check: Check, _: tuple[int, int] | None) -> Iterator[Image.Image]:
        check(still.size)
        yield _keyed(still, b"".join(parts.still), parts)

    return pictures


def _animation(parts: _Parts) -> Pictures:
    """Return the still picture where an animation hides it, and all frames."""
    content = b"".join(parts.still)
    size = struct.unpack(">II", parts.head[:8])

    def decode(frame: _Frame) -> Image.Image:
        if not frame.data:
            alone = content
        else:
            head = frame.control[4:12] + parts.head[8:]
            data = _chunk(b"IDAT", b"".join(frame.data))
            shown = [SIGNATURE, _chunk(b"IHDR", head), *parts.shared, data, _chunk(b"IEND", b"")]
            alone = b"".join(shown)
        opened = Image.open(BytesIO(alone), formats=["PNG"])
        return _eight_bit_colour(_keyed(opened, alone, parts))

    def layer(index: int, frame: _Frame, check: Check) -> Layer:
        width, height, left, top = struct.unpack(">4I", frame.control[4:20])
        disposal, blend = frame.control[24:26]
        then: Then = "keep" if disposal == 0 else "clear"
        if disposal == _PREVIOUS and index > 0:  # before the first there is nothing
            then = "restore"
        check((max(size[0], width), max(size[1], height)))
        return Layer(lambda: decode(frame), (left, top), (width, height), blend == 1, then)

    def pictures(check: Check, _: tuple[int, int] | None) -> Iterator[Image.Image]:
        if not parts.default_shown:
            check(size)
            yield _keyed(Image.open(BytesIO(content), formats=["PNG"]), content, parts)
        drawn = [frame for i, frame in enumerate(parts.frames) if frame.data or i == 0]
        yield from composed((layer(i, frame, check) for i, frame in enumerate(drawn)), size)

    return pictures


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _eight_bit_colour(picture: Image.Image) -> Image.Image:
    return eight_bits(picture).convert("RGBA")


def _keyed(picture: Image.Image, content: bytes, parts: _Parts) -> Image.Image:
    """Decode a PNG; where one colour is transparent, as a picture with transparency."""
    depth, kind = parts.depth, parts.kind
    key = _key(parts)
    picture.load()
    if key is None:
        return picture
    if kind == _GREY:
        if 1 < depth < 8:
            key = key * (255 // (2**depth - 1))
        alpha = _alpha([picture], key)
        colours = eight_bits(picture) if depth == 16 else picture.convert("L")
        plain = "L"
    else:
        alpha = _alpha([picture, *([_lower_bytes(content)] if depth == 16 else [])], key)
        colours, plain = picture, "RGB"
    made = colours.convert(plain + "A")
    made.putalpha(alpha)
    return made


def _key(parts: _Parts) -> Int64[np.ndarray, " c"] | None:
    """Return the transparent colour, as browsers read it: up to 8 bits the lower bytes alone."""
    count = {_GREY: 1, _RGB: 3}.get(parts.kind)
    chunk = parts.notes.get(b"tRNS")
    if count is None or chunk is None or (parts.depth == 16 and len(chunk) != 2 * count):
        return None
    key = np.array(struct.unpack_from(f">{count}H", chunk), np.int64)
    return key if parts.depth == 16 else key & 0xFF


def _alpha(parts: Sequence[Image.Image], key: Int64[np.ndarray, " c"]) -> Image.Image:
    """Return the transparency of samples, given as one picture or as upper and lower bytes.

    It is made a band of rows at a time: the samples of a large picture as numbers would take many
    times its memory.
    """
    width, height = parts[0].size
    alpha = Image.new("L", (width, height))
    rows = max(1, _BAND // width)
    for top in range(0, height, rows):
        box = (0, top, width, min(top + rows, height))
        first, *lower = (np.asarray(part.crop(box)).astype(np.uint16) for part in parts)
        samples = (first << 8 | lower[0]) if lower else first
        clear = (samples.reshape(*samples.shape[:2], -1) == key).all(-1)
        alpha.paste(Image.fromarray(np.where(clear, 0, 255).astype(np.uint8)), box)
    return alpha


def _lower_bytes(content: bytes) -> Image.Image:
    """Return the lower bytes of 16-bit colour, which Pillow reads the upper ones of."""
    again = Image.open(BytesIO(content), formats=["PNG"])
    # The same samples taken for the other order of bytes.
    again.tile = [tile._replace(args="RGB;16L") for tile in again.tile]
    again.load()
    return again
