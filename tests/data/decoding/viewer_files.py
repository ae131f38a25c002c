"""Small picture files of every kind that viewers meet, written byte by byte where Pillow cannot.

`FILES` makes each by name. Nothing here decodes: what the files show, a browser says.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable
from io import BytesIO

import numpy as np
from jaxtyping import UInt16
from PIL import Image

from tests.data.decoding.viewer_profiles import (
    DISPLAY_P3,
    SWAPPED,
    cmyk_table,
    grey_curve,
    rgb_matrix,
    rgb_table,
)

SIZE = (37, 26)
Samples = UInt16[np.ndarray, "h w c"]
Make = Callable[[], bytes]


def levels(channels: int, depth: int = 8) -> Samples:
    """A smooth picture without any symmetry, in samples of `depth` bits."""
    width, height = SIZE
    y, x = np.mgrid[0:height, 0:width] / [[[height - 1]], [[width - 1]]]
    waves = [
        0.5 + 0.5 * np.sin(3 * x + 1.3 * y),
        x * (1 - 0.4 * y),
        0.2 + 0.7 * y * y,
        np.clip(1.6 * x + 0.3 * y - 0.4, 0, 1),
    ]
    some = {1: [0], 2: [0, 3], 3: [0, 1, 2], 4: [0, 1, 2, 3]}[channels]
    values = np.stack([waves[i] for i in some], -1)
    return np.round(values * (2**depth - 1)).astype(np.uint16)


def picture(mode: str) -> Image.Image:
    """The same waves, as Pillow has them; inks stay light, or all would be black."""
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    values = levels(channels).astype(np.uint8)
    if mode == "CMYK":
        values = values // 2
    return Image.frombytes(mode, SIZE, values.tobytes())


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


# --- PNG ---------------------------------------------------------------------------------------


def chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


_ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
_PNG_KIND = {"grey": 0, "rgb": 2, "palette": 3, "grey+alpha": 4, "rgb+alpha": 6}
_PNG_CHANNELS = {"grey": 1, "rgb": 3, "palette": 1, "grey+alpha": 2, "rgb+alpha": 4}


def _rows(values: Samples, depth: int) -> bytes:
    rows = []
    for row in values.reshape(len(values), -1):
        if depth == 16:
            body = row.astype(">u2").tobytes()
        else:
            bits = (row[:, None] >> np.arange(depth)[::-1]) & 1
            body = np.packbits(bits.astype(np.uint8)).tobytes()
        rows.append(b"\0" + body)
    return b"".join(rows)


def png(
    kind: str,
    depth: int,
    *,
    interlaced: bool = False,
    before: Iterable[bytes] = (),
    after: Iterable[bytes] = (),
    values: Samples | None = None,
) -> bytes:
    """A PNG; `before` and `after` are the chunks on either side of its pixels."""
    values = levels(_PNG_CHANNELS[kind], depth) if values is None else values
    height, width = values.shape[:2]
    parts = [values]
    if interlaced:
        parts = [values[y::v, x::h] for x, y, h, v in _ADAM7]
    body = b"".join(_rows(part, depth) for part in parts if part.size)
    head = struct.pack(">IIBBBBB", width, height, depth, _PNG_KIND[kind], 0, 0, interlaced)
    chunks = [chunk(b"IHDR", head)]
    if kind == "palette":
        colours = np.stack([np.arange(2**depth) * 255 // (2**depth - 1)] * 3, 1)
        colours[:, 1] = 255 - colours[:, 1]
        colours[:, 2] //= 2
        before = [*before]
        early = [c for c in before if c[4:8] in (b"gAMA", b"cHRM", b"iCCP", b"sRGB", b"cICP")]
        before = [
            *early,
            chunk(b"PLTE", colours.astype(np.uint8).tobytes()),
            *(c for c in before if c not in early),
        ]
    chunks += [*before, chunk(b"IDAT", zlib.compress(body)), *after, chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def key(kind: str, depth: int) -> bytes:
    """A tRNS chunk: the sample in the middle as the colour key, or a palette's alphas."""
    if kind == "palette":
        return chunk(b"tRNS", bytes(np.linspace(0, 255, 2**depth).astype(np.uint8)))
    middle = levels(_PNG_CHANNELS[kind], depth)[13, 18]
    return chunk(b"tRNS", middle.astype(">u2").tobytes())


def gama(gamma: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000)))


def chrm(points: Iterable[float]) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *(round(p * 100_000) for p in points)))


def iccp(profile: bytes) -> bytes:
    return chunk(b"iCCP", b"profile\0\0" + zlib.compress(profile))


def cicp(primaries: int, transfer: int, matrix: int = 0, full: int = 1) -> bytes:
    return chunk(b"cICP", bytes([primaries, transfer, matrix, full]))


SRGB_CHUNK = chunk(b"sRGB", b"\0")
P3_POINTS = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
SRGB_POINTS = (0.3127, 0.3290, 0.640, 0.330, 0.300, 0.600, 0.150, 0.060)


# --- EXIF and XMP -----------------------------------------------------------------------------


def exif(
    orientation: int,
    order: str = "<",
    *,
    kind: int = 3,
    count: int = 1,
    thumbnail: int | None = None,
) -> bytes:
    """A TIFF header with one directory, and a second one with a thumbnail's orientation."""
    mark = b"II*\0" if order == "<" else b"MM\0*"

    def entry(value: int) -> bytes:
        packed = struct.pack(order + ("H" if kind == 3 else "I"), value).ljust(4, b"\0")
        return struct.pack(order + "HHI", 0x0112, kind, count) + packed

    following = 26 if thumbnail is not None else 0
    first = struct.pack(order + "H", 1) + entry(orientation) + struct.pack(order + "I", following)
    second = b""
    if thumbnail is not None:
        second = struct.pack(order + "H", 1) + entry(thumbnail) + struct.pack(order + "I", 0)
    return mark + struct.pack(order + "I", 8) + first + second


def xmp(orientation: int) -> bytes:
    return (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="%d"/></rdf:RDF></x:xmpmeta>'
        % orientation
    )


def xmp_chunk(orientation: int) -> bytes:
    return chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(orientation))


def raw_profile_chunk(orientation: int) -> bytes:
    """The text chunk in which ImageMagick keeps EXIF."""
    block = b"Exif\0\0" + exif(orientation)
    text = b"\nexif\n%8d\n%s\n" % (len(block), block.hex().encode())
    return chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))


# --- JPEG -------------------------------------------------------------------------------------


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    """The segments straight after the start of the image."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def app1(orientation: int, order: str = "<", **options: object) -> bytes:
    return segment(0xE1, b"Exif\0\0" + exif(orientation, order, **options))  # type: ignore[arg-type]


def jpeg(mode: str = "RGB", **options: object) -> bytes:
    return saved(picture(mode), "JPEG", **{"quality": 95, "subsampling": 0, **options})


def adobe(jpeg: bytes, transform: int | None) -> bytes:
    """The same scan with another Adobe marker, or with none."""
    place = jpeg.index(b"\xff\xee")
    length = struct.unpack(">H", jpeg[place + 2 : place + 4])[0]
    marker = bytearray(jpeg[place : place + 2 + length])
    marker[-1] = transform or 0
    kept = b"" if transform is None else bytes(marker)
    return jpeg[:place] + kept + jpeg[place + 2 + length :]


# --- WebP -------------------------------------------------------------------------------------


def riff(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def webp_offset() -> bytes:
    """An animation of one frame that does not fill its canvas."""
    frame = saved(picture("RGB").resize((20, 12)), "WEBP", lossless=True)[12:]
    place = struct.pack("<I", 3)[:3] + struct.pack("<I", 4)[:3]  # in twos: at 6, 8
    size = struct.pack("<I", 19)[:3] + struct.pack("<I", 11)[:3]
    anmf = riff(b"ANMF", place + size + b"\x64\0\0" + b"\0" + frame)
    canvas = struct.pack("<I", SIZE[0] - 1)[:3] + struct.pack("<I", SIZE[1] - 1)[:3]
    vp8x = riff(b"VP8X", b"\x12\0\0\0" + canvas)
    body = b"WEBP" + vp8x + riff(b"ANIM", b"\xff\0\0\xff\0\0") + anmf
    return riff(b"RIFF", body)


# --- BMP --------------------------------------------------------------------------------------


def bmp(
    bits: int,
    *,
    masks: tuple[int, ...] = (),
    down: bool = False,
    header: int = 40,
    compression: int | None = None,
    body: bytes | None = None,
    alpha: bool = True,
) -> bytes:
    """A bitmap of `bits` a pixel: a palette up to 8, else the fields of `masks` (or the usual)."""
    width, height = SIZE
    compression = (3 if masks else 0) if compression is None else compression
    colours = b""
    if bits <= 8:
        values = levels(1, bits)[:, :, 0]
        ramp = np.arange(2**bits) * 255 // (2**bits - 1)
        colours = np.stack([255 - ramp, ramp // 2, ramp, 0 * ramp], 1).astype(np.uint8).tobytes()
        packed = ((values[:, :, None] >> np.arange(bits)[::-1]) & 1).reshape(height, -1)
        rows = [np.packbits(row.astype(np.uint8)).tobytes() for row in packed]
    elif bits == 24:
        rows = [row[:, ::-1].astype(np.uint8).tobytes() for row in levels(3)]
    else:
        fields = masks or (
            (0x7C00, 0x3E0, 0x1F) if bits == 16 else (0xFF0000, 0xFF00, 0xFF, 0xFF << 24)
        )
        packed = np.zeros((height, width), np.uint32)
        for i, mask in enumerate(fields):
            wide, low = bin(mask).count("1"), (mask & -mask).bit_length() - 1
            values = levels(4, wide)[:, :, i].astype(np.uint32)
            packed |= np.uint32(values if i < 3 or alpha else 0 * values) << np.uint32(low)
        rows = [row.astype("<u2" if bits == 16 else "<u4").tobytes() for row in packed]
    rows = [row.ljust(-(-len(row) // 4) * 4, b"\0") for row in rows]
    content = body or b"".join(rows if down else rows[::-1])
    info = struct.pack(
        "<IiiHHIIiiII",
        header,
        width,
        -height if down else height,
        1,
        bits,
        compression,
        len(content),
        2835,
        2835,
        0,
        0,
    )
    if header >= 52:
        info += struct.pack("<3I", *masks[:3])
    if header >= 56:
        info += struct.pack("<I", masks[3] if len(masks) > 3 else 0)
    if header >= 108:
        info += b"BGRs" + b"\0" * 36 + b"\0" * 12
    info = info.ljust(header, b"\0")
    if header == 40 and masks:
        info += struct.pack("<3I", *masks[:3])
    start = 14 + len(info) + len(colours)
    head = b"BM" + struct.pack("<IHHI", start + len(content), 0, 0, start)
    return head + info + colours + content


def rle8() -> bytes:
    rows = [b"".join(bytes([1, int(v)]) for v in row) for row in levels(1, 8)[::-1, :, 0]]
    return bmp(8, compression=1, body=b"\0\0".join(rows) + b"\0\0\0\1")


# --- GIF --------------------------------------------------------------------------------------


def gif(
    *,
    transparent: bool = False,
    interlaced: bool = False,
    place: tuple[int, int] = (0, 0),
    background: int = 3,
) -> bytes:
    """A picture of 16 colours, at a place of its screen."""
    width, height = SIZE
    part = levels(1, 4)[place[1] :, place[0] :, 0]
    small = Image.fromarray(part.astype(np.uint8))
    ramp = np.arange(16) * 17
    colours = np.stack([ramp, 255 - ramp, ramp // 2], 1).astype(np.uint8).tobytes()
    small = small.copy()
    small.putpalette(colours)
    one = saved(small, "GIF", interlace=interlaced, optimize=False)
    # Pillow's own file holds one picture of the part's size: the screen and the place are patched.
    start = one.index(b"\x2c")
    while one[start + 1 : start + 5] != b"\0\0\0\0":
        start = one.index(b"\x2c", start + 1)
    descriptor = bytearray(one[start : start + 10])
    descriptor[1:5] = struct.pack("<HH", *place)
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF3, background, 0) + colours
    control = b"\x21\xf9\x04" + bytes([transparent]) + b"\0\0\x07\0"
    table = 3 * (2 << (descriptor[9] & 7)) if descriptor[9] & 0x80 else 0
    descriptor[9] &= 0x40
    return screen + control + bytes(descriptor) + one[start + 10 + table :]


# --- The table --------------------------------------------------------------------------------


def _pngs() -> dict[str, Make]:
    made: dict[str, Make] = {}
    kinds = [("grey", d) for d in (1, 2, 4, 8, 16)] + [("rgb", 8), ("rgb", 16)]
    kinds += [("palette", d) for d in (1, 2, 4, 8)]
    alphas = [(k, d) for k in ("grey+alpha", "rgb+alpha") for d in (8, 16)]
    for turns in (False, True):
        word = " interlaced" if turns else ""
        for kind, depth in kinds + alphas:
            made[f"png {kind} {depth}{word}"] = lambda k=kind, d=depth, t=turns: png(
                k, d, interlaced=t
            )
        for kind, depth in kinds:
            made[f"png {kind} {depth} key{word}"] = lambda k=kind, d=depth, t=turns: png(
                k, d, interlaced=t, before=[key(k, d)]
            )
    return made


def raised_key(kind: str, depth: int, more: int) -> bytes:
    """The colour key with more bits than its depth has."""
    middle = levels(_PNG_CHANNELS[kind], depth)[13, 18].astype(int) | more
    return chunk(b"tRNS", middle.astype(">u2").tobytes())


def with_palette(colours: bytes, *after: bytes, depth: int = 4, interlaced: bool = False) -> bytes:
    """A PNG with a palette of other colours, and with chunks behind it."""
    whole = png("palette", depth, interlaced=interlaced)
    start = whole.index(b"PLTE") - 4
    end = start + 12 + 3 * 2**depth
    return whole[:start] + chunk(b"PLTE", colours) + b"".join(after) + whole[end:]


def before_palette(*chunks: bytes, after: tuple[bytes, ...] = ()) -> bytes:
    """A PNG with chunks before its palette, and behind it."""
    whole = png("palette", 4, before=after)
    start = whole.index(b"PLTE") - 4
    return whole[:start] + b"".join(chunks) + whole[start:]


def apart(png: bytes, *between: bytes) -> bytes:
    """A PNG whose compressed pixels lie in two chunks, with others between them."""
    start = png.index(b"IDAT")
    (length,) = struct.unpack(">I", png[start - 4 : start])
    body, half = png[start + 4 : start + 4 + length], length // 2
    middle = (chunk(b"IDAT", body[:half]), *between, chunk(b"IDAT", body[half:]))
    return png[: start - 4] + b"".join(middle) + png[start + 8 + length :]


def _odd_keys() -> dict[str, Make]:
    """Transparency that is written as it should not be: viewers agree on what it means."""
    made: dict[str, Make] = {}
    for kind, depth in [("grey", d) for d in (1, 2, 4, 8)] + [("rgb", 8)]:
        for more in (0x100, 0xFF00, 2**depth):
            made[f"png {kind} {depth} key with {more:#x}"] = lambda k=kind, d=depth, m=more: png(
                k, d, before=[raised_key(k, d, m)]
            )
    for kind, depth in (("grey", 8), ("grey", 16), ("rgb", 8), ("rgb", 16)):
        body = key(kind, depth)[8:-4]
        for name, other in (("long", body + b"\0\0"), ("short", body[:-1])):
            made[f"png {kind} {depth} key, {name}"] = lambda k=kind, d=depth, b=other: png(
                k, d, before=[chunk(b"tRNS", b)]
            )
    short, red_green = chunk(b"tRNS", b"\1"), b"\xff\0\0\0\xff\0"
    dim = chunk(b"tRNS", b"\xff\x40\x20\x10")
    made |= {
        "png key twice": lambda: png("grey", 8, before=[key("grey", 8), raised_key("grey", 8, 5)]),
        "png key, a short one first": lambda: png("grey", 8, before=[short, key("grey", 8)]),
        "png key after the pixels": lambda: png("grey", 8, after=[key("grey", 8)]),
        "png alphas twice": lambda: png("palette", 4, before=[key("palette", 4), short]),
        "png alphas before the palette": lambda: before_palette(key("palette", 4)),
        "png alphas before and after": lambda: before_palette(short, after=(key("palette", 4),)),
        "png more alphas than colours": lambda: png(
            "palette", 4, before=[chunk(b"tRNS", bytes(40))]
        ),
        "png palette of two": lambda: with_palette(red_green),
        "png palette of two, interlaced": lambda: with_palette(red_green, interlaced=True),
        "png palette of two in 8 bits": lambda: with_palette(red_green, depth=8),
        "png palette of two, one alpha": lambda: with_palette(red_green, short),
        "png palette of two, more alphas": lambda: with_palette(red_green, dim),
        "png palette of a part": lambda: with_palette(red_green * 7 + b"\7\7"),
        "png palette of 32 in 4 bits": lambda: with_palette(bytes(range(96))),
    }
    return made


def _fields() -> dict[str, Make]:
    """Bitmaps of 16 and 32 bits a pixel, with every header and with fields of any width."""
    made: dict[str, Make] = {}
    masks = {
        "4444": (16, (0xF00, 0xF0, 0xF, 0xF000)),
        "1555": (16, (0x7C00, 0x3E0, 0x1F, 0x8000)),
        "332": (16, (0xE0, 0x1C, 0x3)),
        "565 other order": (16, (0x1F, 0x7E0, 0xF800)),
        "2 10 10 10": (32, (0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000)),
        "12 12 8": (32, (0xFFF00000, 0xFFF00, 0xFF)),
        "8888 other order": (32, (0xFF, 0xFF00, 0xFF0000, 0xFF << 24)),
    }
    for name, (bits, some) in masks.items():
        for header in (40, 52, 56, 108, 124):
            made[f"bmp {bits} {name}, header {header}"] = lambda b=bits, m=some, h=header: bmp(
                b, masks=m, header=h
            )
        made[f"bmp {bits} {name}, without alpha's bits"] = lambda b=bits, m=some: bmp(
            b, masks=m, header=56, alpha=False
        )
    for name, compression in (("unsaid", 0), ("with alpha", 6)):
        for key_ in ("1555", "8888 other order"):
            bits, some = masks[key_]
            made[f"bmp {bits} {key_}, {name}"] = lambda b=bits, m=some, c=compression: bmp(
                b, masks=m, header=108, compression=c
            )
    return made


def _orientations() -> dict[str, Make]:
    made: dict[str, Make] = {}
    for i in range(10):
        made[f"jpeg exif {i}"] = lambda i=i: with_segments(jpeg(), app1(i))
        made[f"png exif {i}"] = lambda i=i: png("rgb", 8, before=[chunk(b"eXIf", exif(i, ">"))])
    for i in (3, 6):
        made[f"jpeg exif {i} big end first"] = lambda i=i: with_segments(jpeg(), app1(i, ">"))
        made[f"png exif {i} little end first"] = lambda i=i: png(
            "rgb", 8, before=[chunk(b"eXIf", exif(i))]
        )
        made[f"png exif {i} after the pixels"] = lambda i=i: png(
            "rgb", 8, after=[chunk(b"eXIf", exif(i))]
        )
        made[f"png xmp {i}"] = lambda i=i: png("rgb", 8, before=[xmp_chunk(i)])
        made[f"png raw profile {i}"] = lambda i=i: png("rgb", 8, before=[raw_profile_chunk(i)])
        made[f"jpeg xmp {i}"] = lambda i=i: with_segments(
            jpeg(), segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp(i))
        )
        made[f"webp exif {i}"] = lambda i=i: saved(
            picture("RGB"), "WEBP", lossless=True, exif=exif(i)
        )
        made[f"webp exif {i} with its name"] = lambda i=i: saved(
            picture("RGB"), "WEBP", lossless=True, exif=b"Exif\0\0" + exif(i)
        )
        made[f"webp xmp {i}"] = lambda i=i: saved(picture("RGB"), "WEBP", lossless=True, xmp=xmp(i))
        made[f"avif turned {i}"] = lambda i=i: saved(
            picture("RGB"), "AVIF", quality=95, subsampling="4:4:4", exif=b"Exif\0\0" + exif(i)
        )
        made[f"avif xmp {i}"] = lambda i=i: saved(
            picture("RGB"), "AVIF", quality=95, subsampling="4:4:4", xmp=xmp(i)
        )
    made |= {
        "jpeg exif twice": lambda: with_segments(jpeg(), app1(6), app1(3)),
        "jpeg exif twice, first broken": lambda: with_segments(
            jpeg(), segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff"), app1(3)
        ),
        "jpeg exif twice, first without": lambda: with_segments(jpeg(), app1(1), app1(3)),
        "jpeg xmp 6 then exif 3": lambda: with_segments(
            jpeg(), segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp(6)), app1(3)
        ),
        "jpeg exif and a thumbnail's": lambda: with_segments(jpeg(), app1(6, thumbnail=3)),
        "jpeg exif 6 as LONG": lambda: with_segments(jpeg(), app1(6, kind=4)),
        "jpeg exif 6 as LONG big end first": lambda: with_segments(jpeg(), app1(6, ">", kind=4)),
        "jpeg exif 6 of two": lambda: with_segments(jpeg(), app1(6, count=2)),
        "png exif twice": lambda: png(
            "rgb", 8, before=[chunk(b"eXIf", exif(6)), chunk(b"eXIf", exif(3))]
        ),
        "png exif before and after": lambda: png(
            "rgb", 8, before=[chunk(b"eXIf", exif(6))], after=[chunk(b"eXIf", exif(3))]
        ),
        "png exif with its name": lambda: png(
            "rgb", 8, before=[chunk(b"eXIf", b"Exif\0\0" + exif(6))]
        ),
        "jpeg exif broken": lambda: with_segments(
            jpeg(), segment(0xE1, b"Exif\0\0MM\0*\xff\xff\xff\xff")
        ),
        "jpeg exif after the tables": lambda: jpeg().replace(b"\xff\xda", app1(6) + b"\xff\xda", 1),
        "jpeg exif without JFIF": lambda: with_segments(jpeg()[:2] + jpeg()[20:], app1(6)),
    }
    return made


def _profiles() -> dict[str, Make]:
    swap, p3 = SWAPPED, DISPLAY_P3
    adobe_like = rgb_matrix(((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), 2.19921875)
    linear = rgb_matrix(((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), 1.0)
    made: dict[str, Make] = {}
    for name, profile in (
        ("swapped", swap),
        ("p3", p3),
        ("adobe", adobe_like),
        ("linear", linear),
        ("table", rgb_table()),
    ):
        made[f"png icc {name}"] = lambda p=profile: png("rgb", 8, before=[iccp(p)])
        made[f"jpeg icc {name}"] = lambda p=profile: jpeg(icc_profile=p)
        made[f"webp icc {name}"] = lambda p=profile: saved(
            picture("RGB"), "WEBP", lossless=True, icc_profile=p
        )
    grey = grey_curve(1.0)
    broken = swap[:200]
    made |= {
        "png 16 icc swapped": lambda: png("rgb", 16, before=[iccp(swap)]),
        "png alpha icc swapped": lambda: png("rgb+alpha", 8, before=[iccp(swap)]),
        "png palette icc swapped": lambda: png("palette", 4, before=[iccp(swap)]),
        "png key icc swapped": lambda: png("rgb", 8, before=[iccp(swap), key("rgb", 8)]),
        "png grey icc grey": lambda: png("grey", 8, before=[iccp(grey)]),
        "png grey+alpha icc grey": lambda: png("grey+alpha", 8, before=[iccp(grey)]),
        "png grey 16 icc grey": lambda: png("grey", 16, before=[iccp(grey)]),
        "png grey icc rgb": lambda: png("grey", 8, before=[iccp(linear)]),
        "png rgb icc grey": lambda: png("rgb", 8, before=[iccp(grey)]),
        "jpeg grey icc grey": lambda: jpeg("L", icc_profile=grey),
        "jpeg grey icc rgb": lambda: jpeg("L", icc_profile=linear),
        "jpeg rgb icc grey": lambda: jpeg(icc_profile=grey),
        "jpeg rgb icc cmyk": lambda: jpeg(icc_profile=cmyk_table()),
        "jpeg cmyk icc cmyk": lambda: jpeg("CMYK", icc_profile=cmyk_table()),
        "jpeg cmyk icc rgb": lambda: jpeg("CMYK", icc_profile=swap),
        "webp alpha icc swapped": lambda: saved(
            picture("RGBA"), "WEBP", lossless=True, exact=True, icc_profile=swap
        ),
        "avif icc swapped": lambda: saved(
            picture("RGB"), "AVIF", quality=95, subsampling="4:4:4", icc_profile=swap
        ),
        "avif icc p3": lambda: saved(
            picture("RGB"), "AVIF", quality=95, subsampling="4:4:4", icc_profile=p3
        ),
        "png icc cut": lambda: png("rgb", 8, before=[iccp(broken)]),
        "png icc not inflatable": lambda: png("rgb", 8, before=[chunk(b"iCCP", b"p\0\0garbage")]),
        "jpeg icc cut": lambda: jpeg(icc_profile=broken),
        "jpeg icc garbage": lambda: jpeg(icc_profile=b"garbage" * 30),
        "webp icc cut": lambda: saved(picture("RGB"), "WEBP", lossless=True, icc_profile=broken),
        "png icc twice": lambda: png("rgb", 8, before=[iccp(swap), iccp(linear)]),
        "png icc after the pixels": lambda: png("rgb", 8, after=[iccp(swap)]),
        "png icc of 3 MB": lambda: png("rgb", 8, before=[iccp(_padded(swap, 3 << 20))]),
        "png gama 1": lambda: png("rgb", 8, before=[gama(1.0)]),
        "png gama 2.2": lambda: png("rgb", 8, before=[gama(1 / 2.2)]),
        "png gama 0": lambda: png("rgb", 8, before=[gama(0)]),
        "png gama 16": lambda: png("rgb", 16, before=[gama(1.0)]),
        "png gama alpha": lambda: png("rgb+alpha", 8, before=[gama(1.0)]),
        "png gama palette": lambda: png("palette", 8, before=[gama(1.0)]),
        "png gama grey": lambda: png("grey", 8, before=[gama(1.0)]),
        "png gama grey 16": lambda: png("grey", 16, before=[gama(1.0)]),
        "png chrm": lambda: png("rgb", 8, before=[chrm(P3_POINTS)]),
        "png chrm zero": lambda: png("rgb", 8, before=[chrm([0] * 8), gama(1.0)]),
        "png gama chrm": lambda: png("rgb", 8, before=[gama(1 / 2.2), chrm(P3_POINTS)]),
        "png gama 1 chrm": lambda: png("rgb", 8, before=[gama(1.0), chrm(P3_POINTS)]),
        "png gama 1 chrm srgb points": lambda: png("rgb", 8, before=[gama(1.0), chrm(SRGB_POINTS)]),
        "png gama chrm grey": lambda: png("grey", 8, before=[gama(1.0), chrm(P3_POINTS)]),
        "png srgb gama": lambda: png("rgb", 8, before=[SRGB_CHUNK, gama(1.0)]),
        "png gama then srgb": lambda: png(
            "rgb", 8, before=[gama(1.0), chrm(P3_POINTS), SRGB_CHUNK]
        ),
        "png srgb icc": lambda: png("rgb", 8, before=[SRGB_CHUNK, iccp(swap)]),
        "png icc srgb": lambda: png("rgb", 8, before=[iccp(swap), SRGB_CHUNK]),
        "png icc gama": lambda: png("rgb", 8, before=[iccp(swap), gama(1.0), chrm(P3_POINTS)]),
        "png cut icc gama": lambda: png(
            "rgb", 8, before=[iccp(broken), gama(1.0), chrm(P3_POINTS)]
        ),
        "png gama after the pixels": lambda: png("rgb", 8, after=[gama(1.0), chrm(P3_POINTS)]),
        "png cicp p3": lambda: png("rgb", 8, before=[cicp(12, 13)]),
        "png cicp srgb": lambda: png("rgb", 8, before=[cicp(1, 13)]),
        "png cicp linear": lambda: png("rgb", 8, before=[cicp(1, 8)]),
        "png cicp 709": lambda: png("rgb", 8, before=[cicp(1, 1)]),
        "png cicp 2020": lambda: png("rgb", 8, before=[cicp(9, 14)]),
        "png cicp unknown": lambda: png("rgb", 8, before=[cicp(2, 2)]),
        "png cicp narrow": lambda: png("rgb", 8, before=[cicp(12, 13, 0, 0)]),
        "png cicp icc": lambda: png("rgb", 8, before=[cicp(1, 13), iccp(swap)]),
        "png icc cicp": lambda: png("rgb", 8, before=[iccp(swap), cicp(1, 13)]),
        "png cicp srgb gama": lambda: png("rgb", 8, before=[cicp(12, 13), SRGB_CHUNK, gama(1.0)]),
        "png cicp grey": lambda: png("grey", 8, before=[cicp(1, 8)]),
        "png pixels in two chunks": lambda: apart(png("rgb", 8)),
        "png pixels in two chunks, an empty one between": lambda: apart(
            png("rgb", 8), chunk(b"IDAT", b"")
        ),
        "png pixels, others, and pixels again": lambda: png(
            "rgb", 8, after=[chunk(b"tEXt", b"a\0b"), chunk(b"IDAT", b"junk")]
        ),
        "png text of 3 MB": lambda: png(
            "rgb", 8, before=[chunk(b"zTXt", b"k\0\0" + zlib.compress(b"a" * (3 << 20)))]
        ),
        "png text with a wrong checksum": lambda: png(
            "rgb", 8, before=[chunk(b"tEXt", b"k\0v")[:-1] + b"\0"]
        ),
    }
    return made


def _padded(profile: bytes, size: int) -> bytes:
    return struct.pack(">I", size) + profile[4:] + b"\0" * (size - len(profile))


def _others() -> dict[str, Make]:
    made: dict[str, Make] = {
        "jpeg rgb": jpeg,
        "jpeg 4:2:0": lambda: jpeg(subsampling=2),
        "jpeg 4:2:2": lambda: jpeg(subsampling=1),
        "jpeg progressive": lambda: jpeg(progressive=True),
        "jpeg grey": lambda: jpeg("L"),
        "jpeg kept as RGB": lambda: jpeg(keep_rgb=True),
        "jpeg cmyk": lambda: jpeg("CMYK"),
        "jpeg cmyk without Adobe": lambda: adobe(jpeg("CMYK"), None),
        "jpeg ycck": lambda: adobe(jpeg("CMYK"), 2),
        "jpeg of several (MPO)": lambda: saved(
            picture("RGB"),
            "MPO",
            save_all=True,
            append_images=[Image.new("RGB", (9, 9), "red")],
            quality=95,
        ),
        "jpeg with bytes after its end": lambda: jpeg() + b"\0" * 50 + jpeg("L"),
        "webp lossy": lambda: saved(picture("RGB"), "WEBP", quality=95),
        "webp lossless": lambda: saved(picture("RGB"), "WEBP", lossless=True),
        "webp lossy alpha": lambda: saved(picture("RGBA"), "WEBP", quality=95),
        "webp lossless alpha": lambda: saved(picture("RGBA"), "WEBP", lossless=True, exact=True),
        "webp at a place": webp_offset,
        "avif": lambda: saved(picture("RGB"), "AVIF", quality=95, subsampling="4:4:4"),
        "avif 4:2:0": lambda: saved(picture("RGB"), "AVIF", quality=95),
        "avif alpha": lambda: saved(picture("RGBA"), "AVIF", quality=95, subsampling="4:4:4"),
        "avif grey": lambda: saved(picture("L"), "AVIF", quality=95),
        "gif": gif,
        "gif transparent": lambda: gif(transparent=True),
        "gif interlaced": lambda: gif(interlaced=True),
        "gif at a place": lambda: gif(place=(9, 5)),
        "gif at a place, transparent": lambda: gif(place=(9, 5), transparent=True),
        "bmp 1": lambda: bmp(1),
        "bmp 4": lambda: bmp(4),
        "bmp 8": lambda: bmp(8),
        "bmp 8 down": lambda: bmp(8, down=True),
        "bmp 16": lambda: bmp(16),
        "bmp 16 565": lambda: bmp(16, masks=(0xF800, 0x7E0, 0x1F)),
        "bmp 24": lambda: bmp(24),
        "bmp 24 down": lambda: bmp(24, down=True),
        "bmp 32": lambda: bmp(32, alpha=False),
        "bmp 32 with a fourth byte": lambda: bmp(32),
        "bmp 32 fields": lambda: bmp(32, masks=(0xFF0000, 0xFF00, 0xFF), alpha=False),
        "bmp 32 fields alpha": lambda: bmp(
            32, masks=(0xFF0000, 0xFF00, 0xFF, 0xFF << 24), header=56
        ),
        "bmp 32 V4 alpha": lambda: bmp(32, masks=(0xFF0000, 0xFF00, 0xFF, 0xFF << 24), header=108),
        "bmp 32 V4 alpha of noughts": lambda: bmp(
            32, masks=(0xFF0000, 0xFF00, 0xFF, 0xFF << 24), header=108, alpha=False
        ),
        "bmp 32 V5 other order": lambda: bmp(
            32, masks=(0xFF, 0xFF00, 0xFF0000, 0xFF << 24), header=124
        ),
        "bmp RLE": rle8,
    }
    return made


def _odd() -> dict[str, Make]:
    """What a careful reader takes otherwise than browsers do."""
    swap = SWAPPED

    def header(place: int, content: bytes) -> bytes:
        return swap[:place] + content + swap[place + len(content) :]

    profiles = {
        "a link": header(12, b"link"),
        "abstract": header(12, b"abst"),
        "named colours": header(12, b"nmcl"),
        "of no class": header(12, b"xxxx"),
        "with a small size": header(0, struct.pack(">I", len(swap) - 20)),
        "with no size": header(0, bytes(4)),
        "of version 1": header(8, b"\1"),
        "of version 2": header(8, b"\2"),
        "of version 5": header(8, b"\5"),
        "without a signature": header(36, b"xxxx"),
        "without a curve": swap.replace(b"gTRC", b"gXRC"),
        "with bytes after it": swap + b"abcd",
    }
    made: dict[str, Make] = {
        f"png icc {name}": lambda p=profile: png("rgb", 8, before=[iccp(p)])
        for name, profile in profiles.items()
    }
    icc = b"ICC_PROFILE\0"
    two = [(6, 0x0112), (3, 0x0112)]
    entries = b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for value, tag in two)
    block = b"II*\0" + struct.pack("<IH", 8, 2) + entries + bytes(4)
    return made | {
        "jpeg exif with two orientations": lambda: with_segments(
            jpeg(), segment(0xE1, b"Exif\0\0" + block)
        ),
        "jpeg exif behind filling": lambda: (lambda j: j[:2] + b"\xff\xff" + app1(6) + j[2:])(
            jpeg()
        ),
        "jpeg exif with another sixth byte": lambda: with_segments(
            jpeg(), segment(0xE1, b"Exif\0X" + exif(6))
        ),
        "png exif cut behind its entry": lambda: png(
            "rgb", 8, before=[chunk(b"eXIf", exif(6)[:22])]
        ),
        "jpeg icc without a part": lambda: with_segments(
            jpeg(), segment(0xE2, icc + b"\1\2" + swap)
        ),
        "jpeg icc with a part twice": lambda: with_segments(
            jpeg(), segment(0xE2, icc + b"\1\1" + swap), segment(0xE2, icc + b"\1\1" + swap)
        ),
        "jpeg icc in two parts, second first": lambda: with_segments(
            jpeg(),
            segment(0xE2, icc + b"\2\2" + swap[200:]),
            segment(0xE2, icc + b"\1\2" + swap[:200]),
        ),
    }


REFUSED: dict[str, tuple[Make, str]] = {
    "a PNG cut short": (lambda: png("rgb", 8)[:-300], "expected a whole PNG"),
    "a JPEG cut short": (lambda: jpeg()[:-300], "expected a whole JPEG"),
    "a GIF cut short": (lambda: gif()[:-100], "expected a whole GIF"),
    "a WebP cut short": (lambda: saved(picture("RGB"), "WEBP")[:-40], "a damaged WEBP"),
    "a BMP cut short": (lambda: bmp(24)[:-300], "expected a whole BMP"),
    "a PNG with wrong checksums": (
        lambda: png("rgb", 8)[:-20] + bytes(4) + png("rgb", 8)[-16:],
        "whole PNG",
    ),
    "a PNG whose pixels are apart": (
        lambda: apart(png("rgb", 8), chunk(b"tEXt", b"a\0b")),
        "whole PNG",
    ),
    "an ICO": (lambda: saved(picture("RGB"), "ICO"), "got an ICO"),
    "a PNG in PQ": (lambda: png("rgb", 8, before=[cicp(9, 16)]), "high dynamic range"),
    "a PNG in HLG": (lambda: png("rgb", 16, before=[cicp(9, 18)]), "high dynamic range"),
}
"""What Chromium shows and we refuse, with the reason that is given; docs/pictures.md says why."""

FILES: dict[str, Make] = {
    **(_pngs() | _odd_keys() | _fields()),
    **(_orientations() | _profiles() | _others() | _odd()),
}
