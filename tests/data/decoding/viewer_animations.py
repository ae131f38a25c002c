"""Small animations of every kind of composition, written byte by byte."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from PIL import Image

from tests.data.decoding.viewer_files import SIZE, Make, Samples, chunk, levels, picture, png, saved

Rectangle = tuple[int, int, int, int]
"""Left, top, width and height."""
WHOLE: Rectangle = (0, 0, *SIZE)
_PARTS: tuple[Rectangle, ...] = (WHOLE, (5, 3, 20, 15), (12, 8, 25, 18), (0, 0, 9, 26))


def gif_frame(
    index: int,
    part: Rectangle,
    *,
    disposal: int = 0,
    key: int | None = None,
    own_palette: bool = False,
    control: bool = True,
) -> bytes:
    """A picture of 16 colours for the middle of a GIF."""
    wide = np.tile(levels(1, 4)[:, :, 0], (2, 2))  # a picture may be larger than the screen
    values = (wide[: part[3], : part[2]] + 3 * index) % 16
    small = Image.fromarray(values.astype(np.uint8))
    small.putpalette(palette(index))
    whole = saved(small, "GIF", optimize=False)
    start = whole.rindex(struct.pack("<4H", 0, 0, part[2], part[3])) + 8
    flags = whole[start]
    data = whole[start + 1 + (3 << (flags & 7) + 1 if flags & 0x80 else 0) : -1]
    extension = b"\x21\xf9\x04" + bytes([disposal << 2 | (key is not None), 9, 0, key or 0, 0])
    look, colours = (0x83, palette(index + 5)) if own_palette else (0, b"")
    return (
        (extension if control else b"") + b"," + struct.pack("<4HB", *part, look) + colours + data
    )


def palette(shift: int = 0) -> bytes:
    ramp = np.arange(16) * 17
    return np.stack([np.roll(ramp, shift), 255 - ramp, ramp // 2], 1).astype(np.uint8).tobytes()


def gif(frames: Sequence[bytes], *, background: int = 3, screen: tuple[int, int] = SIZE) -> bytes:
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, 0xF3, background, 0) + palette()
    loop = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"
    return head + loop + b"".join(frames) + b";"


def gif_of(disposal: int, key: int | None, parts: Sequence[Rectangle] = _PARTS) -> bytes:
    return gif([gif_frame(i, p, disposal=disposal, key=key) for i, p in enumerate(parts)])


def apng(
    kind: str,
    *,
    depth: int = 8,
    disposal: int = 0,
    blend: int = 0,
    hidden: bool = False,
    claimed: int | None = None,
    before: Sequence[bytes] = (),
    parts: Sequence[Rectangle] = _PARTS,
) -> bytes:
    """An animation; `hidden` keeps a still picture out of it, `claimed` is the count it states."""
    channels = {"grey": 1, "rgb": 3, "palette": 1, "grey+alpha": 2, "rgb+alpha": 4}[kind]
    sequence, rest = iter(range(99)), []

    def control(part: Rectangle) -> bytes:
        left, top, width, height = part
        numbers = struct.pack(">5I2H", next(sequence), width, height, left, top, 1, 10)
        return chunk(b"fcTL", numbers + bytes([disposal, blend]))

    count = chunk(b"acTL", struct.pack(">II", len(parts) if claimed is None else claimed, 0))
    first = [] if hidden else [control(parts[0])]
    for index, part in enumerate(parts):
        if index == 0 and not hidden:
            continue
        values = levels(channels, depth)[: part[3], : part[2]]
        values = (values.astype(int) + 2**depth // 5 * (index + 1)) % 2**depth
        rest += [
            control(part),
            chunk(b"fdAT", struct.pack(">I", next(sequence)) + _body(kind, depth, values)),
        ]
    return png(kind, depth, before=[*before, count, *first], after=rest)


def _body(kind: str, depth: int, values: Samples) -> bytes:
    alone = png(kind, depth, values=values.astype(np.uint16))
    start = alone.index(b"IDAT")
    (length,) = struct.unpack(">I", alone[start - 4 : start])
    return alone[start + 4 : start + 4 + length]


def moving(kind: str, mode: str = "RGB", **options: object) -> bytes:
    frames = [
        picture(mode),
        picture(mode).rotate(180),
        picture(mode).transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    ]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=90, **options)


_KEY = chunk(b"tRNS", bytes(np.linspace(0, 255, 16).astype(np.uint8)))
ANIMATIONS: dict[str, Make] = {
    **{
        f"gif disposal {d}{' with transparency' if k is not None else ''}": lambda d=d, k=k: gif_of(
            d, k
        )
        for d in (0, 1, 2, 3, 4)
        for k in (None, 6)
    },
    "gif first frame at a place": lambda: gif_of(2, None, _PARTS[1:]),
    "gif first frame at a place, kept": lambda: gif_of(0, None, _PARTS[1:]),
    "gif own palettes": lambda: gif(
        [gif_frame(i, p, own_palette=i > 0) for i, p in enumerate(_PARTS)]
    ),
    "gif without controls": lambda: gif(
        [gif_frame(i, p, control=False) for i, p in enumerate(_PARTS)]
    ),
    "gif larger than its screen": lambda: gif_of(0, None, ((0, 0, 50, 30), WHOLE)),
    "gif later frame beyond the screen": lambda: gif_of(
        2, None, (WHOLE, (30, 20, 20, 15), (3, 3, 9, 9))
    ),
    **{
        f"apng {kind} disposal {d} blend {b}": lambda kind=kind, d=d, b=b: apng(
            kind, disposal=d, blend=b
        )
        for kind in ("rgb+alpha", "grey+alpha")
        for d in (0, 1, 2)
        for b in (0, 1)
    },
    "apng rgb": lambda: apng("rgb"),
    "apng grey": lambda: apng("grey"),
    "apng rgb 16": lambda: apng("rgb", depth=16),
    "apng grey 16": lambda: apng("grey", depth=16),
    "apng palette": lambda: apng("palette", depth=4),
    "apng palette alphas over": lambda: apng("palette", depth=4, before=[_KEY], blend=1),
    "apng first frame at a place": lambda: apng("rgb", hidden=True, parts=_PARTS[1:], disposal=1),
    "apng hidden still": lambda: apng("rgb", hidden=True),
    "webp": lambda: moving("WEBP", lossless=True),
    "webp alpha": lambda: moving("WEBP", "RGBA", lossless=True),
    "avif": lambda: moving("AVIF", quality=95, subsampling="4:4:4"),
}
