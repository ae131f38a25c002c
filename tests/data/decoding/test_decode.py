"""Image bytes from anywhere: the right pixels, or a refusal by name."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sfumato.data import ImageLimits, decode_image, encode_png
from sfumato.data.decoding import isofile
from sfumato.data.decoding.decode import decode_views, open_picture
from sfumato.data.decoding.orientation import exif_orientation
from sfumato.errors import ConfigError, ImageError
from tests.data.decoding import heic_files
from tests.data.decoding.viewer_files import (
    apart,
    app1,
    bmp,
    chrm,
    cicp,
    exif,
    gama,
    iccp,
    key,
    levels,
    raw_profile_chunk,
    segment,
    with_segments,
    xmp,
    xmp_chunk,
)
from tests.data.decoding.viewer_files import png as png_of
from tests.data.decoding.viewer_profiles import SWAPPED


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> Image.Image:
    width, height = size
    values = np.random.default_rng(0).integers(0, 256, (height, width, 4), np.uint8)
    return Image.fromarray(
        values[:, :, : len(Image.new(mode, (1, 1)).getbands())].squeeze(), mode=None
    )


def chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def no_pixels() -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 0, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def png(width: int, height: int, *rest: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(rest)


IDAT = chunk(b"IDAT", zlib.compress(b"\0" * 10**6))


STILL_KINDS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")


def frames(kind: str) -> bytes:
    pictures = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "green")]
    return saved(pictures[0], kind, save_all=True, append_images=pictures[1:], duration=40)


FIELDS = (0xF00, 0xF0, 0xF, 0xF000)


def header_of(place: int, other: bytes) -> bytes:
    """A bitmap of fields with other bytes at a place."""
    content = bmp(16, masks=FIELDS)
    return content[:place] + other + content[place + len(other) :]


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "got 0 bytes"),
    "text": (lambda: b"hello there", "got 11 bytes of something else"),
    "SVG": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "got an SVG"),
    "PDF": (lambda: b"%PDF-1.7 ...", "got a PDF"),
    "ZIP": (lambda: b"PK\3\4" + b"\0" * 60, "got a ZIP"),
    "TIFF cut short": (lambda: saved(noise(), "TIFF")[:-900], "expected a"),
    "TIFF of 32 bits": (lambda: saved(Image.new("F", (4, 4)), "TIFF"), "8 or 16 bits a sample"),
    "TIFF of two pages": (
        lambda: saved(noise(), "TIFF", save_all=True, append_images=[noise()]),
        "expected a still picture, got several pages",
    ),
    "TIFF bomb": (
        lambda: saved(noise(size=(9, 9)), "TIFF").replace(
            struct.pack("<HHII", 256, 4, 1, 9), struct.pack("<HHII", 256, 4, 1, 9_000_000)
        ),
        "at most 64,000,000 pixels",
    ),
    "PGM bomb": (lambda: b"P5 60000 60000 255\n" + b"\0" * 99, "at most 64,000,000 pixels"),
    "PPM cut short": (lambda: saved(noise(), "PPM")[:-900], "expected a whole PNM"),
    "HEIC of noughts": (lambda: b"\0\0\0\x18ftypheic" + b"\0" * 40, "a damaged HEIF"),
    "HEIC of two pictures": (lambda: heic_files.TWO, "got several pictures"),
    "HEIC cut short": (lambda: heic_files.STILL[:-30], "expected a"),
    "AVIF of noughts": (lambda: b"\0\0\0\x18ftypavif" + b"\0" * 40, "a damaged AVIF"),
    "video": (lambda: b"\0\0\0\x18ftypmp42" + b"\0" * 40, "got a video"),
    "sound": (lambda: b"RIFF" + bytes(4) + b"WAVEfmt " + bytes(40), "got sound or video"),
    "PNG without its palette": (
        lambda: png_of("palette", 8).replace(b"PLTE", b"pLTE"),
        "expected a whole PNG picture: its parts do not fit together",
    ),
    "PNG of a million chunks": (
        lambda: png(4, 4, chunk(b"tEXt", b"") * 10**6, chunk(b"IEND", b"")),
        "more than 100,000 chunks",
    ),
    "JPEG of a million segments": (
        lambda: with_segments(saved(noise(), "JPEG"), segment(0xFE, b"") * 10**6),
        "more than 10,000 segments",
    ),
    "GIF of a million pictures": (
        lambda: (
            saved(noise(), "GIF")[:-1]
            + (b"," + struct.pack("<4HB", 0, 0, 1, 1, 0) + b"\2\0") * 10**6
        ),
        "got an animation",
    ),
    "GIF that ends in text": (lambda: saved(noise(), "GIF")[:-1] + b"xyz", "a damaged GIF"),
    "GIF without a picture": (lambda: b"GIF89a" + bytes(7) + b";", "a damaged GIF"),
    "GIF whose canvas grows": (
        lambda: b"GIF89a" + bytes(7) + b"," + struct.pack("<4HB", 60000, 60000, 9, 9, 0) + b"\2\0;",
        "at most 64,000,000 pixels",
    ),
    "EPS, which would start a program": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n", "something else"),
    "PNG bomb": (
        lambda: png(60_000, 60_000, IDAT),
        "at most 64,000,000 pixels, got far more",
    ),
    "PNG just over": (lambda: png(8_001, 8_000, IDAT), "at most 64,000,000 pixels, got 8001x8000"),
    "PNG over Pillow's warning": (lambda: png(10_000, 10_000, IDAT), "at most 64,000,000 pixels"),
    "PNG of no width": (lambda: png(0, 5, chunk(b"IEND", b"")), "expected"),
    "PNG without pixels": (lambda: png(4, 4, chunk(b"IEND", b"")), "expected a whole PNG"),
    "PNG cut short": (lambda: saved(noise())[:-900], "expected a whole PNG"),
    "PNG with a chunk whose checksum is wrong": (
        lambda: saved(noise()).replace(b"IDAT", b"IDAX"),
        "got a damaged PNG",
    ),
    "PNG whose text inflates to 100 MB": (
        lambda: png(
            4, 4, chunk(b"zTXt", b"k\0\0" + zlib.compress(b"a" * 10**8)), chunk(b"IEND", b"")
        ),
        "expected",
    ),
    "JPEG cut short": (lambda: saved(noise(), "JPEG")[:-700], "expected a whole JPEG"),
    "PNG of no pixels": (no_pixels, "a damaged PNG: its header is not that of one"),
    "JPEG header only": (lambda: saved(noise(), "JPEG")[:20], "got a damaged JPEG"),
    "BMP cut short": (lambda: saved(noise(), "BMP")[:-700], "expected a whole BMP"),
    "BMP of fields cut short": (lambda: bmp(16, masks=FIELDS)[:-7], "expected a whole BMP"),
    "BMP of fields that share bits": (
        lambda: bmp(32, masks=(0xFF, 0xFF, 0xFF0000)),
        "a damaged BMP: two colours have the same bits",
    ),
    "BMP of a field in two parts": (
        lambda: header_of(54, struct.pack("<I", 0xF000 | 0x300)),
        "expected a whole BMP picture: the bits of a colour lie apart",
    ),
    "BMP of fields and no width": (
        lambda: header_of(18, bytes(4)),
        "a damaged BMP: it says that it has 0x26 pixels",
    ),
    "BMP of fields, bomb": (
        lambda: header_of(18, struct.pack("<ii", 9000, -9000)),
        "at most 64,000,000 pixels, got 9000x9000",
    ),
    "BMP header only": (lambda: bmp(16, masks=FIELDS)[:20], "a damaged BMP"),
    "PNG header only": (lambda: png_of("palette", 4)[:22], "a damaged PNG"),
    "PNG of a palette of 2**255 colours": (
        lambda: png_of("palette", 4).replace(b"\x04\x03\0\0\0", b"\xff\x03\0\0\0"),
        "expected",
    ),
    "PNG whose pixels are apart": (
        lambda: apart(png_of("rgb", 8), chunk(b"tEXt", b"a\0b")),
        "expected a whole PNG",
    ),
    "WebP cut short": (lambda: saved(noise(), "WEBP")[:-100], "expected"),
    "GIF cut short": (lambda: saved(noise(), "GIF")[:-700], "expected a whole GIF"),
    "animated GIF": (lambda: frames("GIF"), "expected a still picture, got an animation"),
    "animated PNG": (lambda: frames("PNG"), "expected a still picture, got an animation"),
    "animated WebP": (lambda: frames("WEBP"), "expected a still picture, got an animation"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_are_refused_by_name(name: str) -> None:
    make, message = HOSTILE[name]
    with pytest.raises(ImageError, match=message) as caught:
        decode_image(make())
    assert "\n" not in str(caught.value)
    assert "Error" not in str(caught.value)
    assert " at 0x" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_too_many_bytes_are_refused_before_they_are_looked_at() -> None:
    with pytest.raises(ImageError, match="at most 100 bytes, got 101"):
        decode_image(b"\0" * 101, limits=ImageLimits(max_bytes=100))


def test_only_allowed_formats_are_read_whatever_the_bytes_claim() -> None:
    with pytest.raises(ImageError, match=r"expected a picture \(PNG\)"):
        decode_image(saved(noise(), "JPEG"), limits=ImageLimits(formats=("PNG",)))
    with pytest.raises(ConfigError, match="formats must be some of"):
        ImageLimits(formats=("PSD",))
    with pytest.raises(ConfigError, match="at least 1"):
        ImageLimits(max_frames=0)


def moving(kind: str) -> bytes:
    pictures = [noise(size=(12, 9)), Image.new("RGB", (12, 9), "red")]
    return saved(pictures[0], kind, save_all=True, append_images=pictures[1:], duration=40)


NOTES = [iccp(SWAPPED), gama(1.0), cicp(12, 13), chunk(b"eXIf", exif(6))]
SOUND = {
    **{kind: saved(noise(size=(12, 9)), kind) for kind in (*STILL_KINDS, "AVIF")},
    "JPEG with notes": with_segments(
        saved(noise(size=(12, 9)), "JPEG", icc_profile=SWAPPED), app1(6)
    ),
    "PNG with notes": png_of("rgb", 8, before=NOTES),
    "HEIC": heic_files.STILL,
    "BMP of fields": bmp(16, masks=FIELDS, header=56),
    "PNG of a palette": png_of("palette", 4, before=[key("palette", 4)]),
    **{f"moving {kind}": moving(kind) for kind in ("PNG", "GIF", "WEBP", "TIFF", "AVIF")},
}


@settings(max_examples=400, deadline=None)
@pytest.mark.filterwarnings("ignore")  # Pillow's readers warn of what they then read or refuse
@given(st.data())
def test_damaged_pictures_give_a_picture_or_an_image_error(data: st.DataObject) -> None:
    content = bytearray(SOUND[data.draw(st.sampled_from(sorted(SOUND)))])
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content)))]
    try:
        image = decode_image(bytes(content), limits=ImageLimits(max_pixels=10_000))
        views = list(decode_views(bytes(content), limits=ImageLimits(max_pixels=10_000)))
    except ImageError:
        return
    assert image.dtype == torch.uint8
    assert image.shape[0] in (1, 3)
    assert torch.equal(views[0].picture, image)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_png_round_trip_is_exact(mode: str) -> None:
    picture = noise(mode)
    image = decode_image(saved(picture))
    assert image.shape == (len(mode) if mode == "RGB" else 1, 30, 40)
    assert torch.equal(decode_image(encode_png(image)), image)
    assert np.array_equal(image.permute(1, 2, 0).numpy().squeeze(), np.asarray(picture))


def test_sixteen_bits_are_rounded_not_clipped() -> None:
    values = np.linspace(0, 65_535, 256).astype(np.uint16).reshape(16, 16)
    image = decode_image(saved(Image.fromarray(values)))
    assert image.flatten().tolist() == list(range(256))


@pytest.mark.parametrize(("kind", "samples"), [(2, (200, 30, 40)), (6, (200, 30, 40, 255))])
def test_sixteen_bit_colour_keeps_its_colours(kind: int, samples: tuple[int, ...]) -> None:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 16, kind, 0, 0, 0))
    row = b"\0" + struct.pack(f">{2 * len(samples)}H", *(257 * value for value in samples * 2))
    body = chunk(b"IDAT", zlib.compress(row * 2)) + chunk(b"IEND", b"")
    image = decode_image(b"\x89PNG\r\n\x1a\n" + head + body)
    assert image[:, 1, 1].tolist() == [200, 30, 40]


def test_palette_cmyk_and_one_bit_pictures_keep_their_colours() -> None:
    red = Image.new("RGB", (6, 6), (200, 30, 40))
    assert decode_image(saved(red.quantize(4)))[:, 3, 3].tolist() == [200, 30, 40]
    cmyk = decode_image(saved(red.convert("CMYK"), "JPEG", quality=100))
    assert (cmyk[:, 3, 3].int() - torch.tensor([200, 30, 40])).abs().max() <= 4
    assert decode_image(saved(Image.new("1", (3, 3), 1))).unique().tolist() == [255]


def test_transparency_is_laid_on_white() -> None:
    clear = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    assert decode_image(saved(clear)).unique().tolist() == [255]
    half = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    assert decode_image(saved(half))[:, 0, 0].tolist() == [127] * 3
    grey = decode_image(saved(Image.new("LA", (4, 4), (50, 0))))
    assert (grey.shape[0], grey.unique().tolist()) == (1, [255])
    palette = Image.new("RGB", (4, 4), "black").quantize(2)
    palette.info["transparency"] = b"\0\0"
    assert decode_image(saved(palette)).unique().tolist() == [255]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    upright = noise("L", (6, 4))
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = decode_image(saved(stored, "PNG", exif=exif.tobytes()))
    assert np.array_equal(image[0].numpy(), np.asarray(upright))


def test_a_broken_exif_block_does_not_lose_the_picture() -> None:
    content = saved(noise(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff garbage")
    assert decode_image(content).shape == (3, 30, 40)


def test_a_phones_second_picture_is_no_animation() -> None:
    first, second = noise(), Image.new("RGB", (10, 10))
    content = saved(first, "MPO", save_all=True, append_images=[second])
    assert decode_image(content).shape == (3, 30, 40)


def test_size_keeps_the_centre_undistorted_and_the_box_comes_first() -> None:
    picture = Image.new("RGB", (90, 30), "blue")
    picture.paste("red", (30, 0, 60, 30))
    image = decode_image(saved(picture), size=(12, 12))
    assert image[:, 2:-2, 2:-2].flatten(1).unique(dim=1).squeeze().tolist() == [255, 0, 0]
    left = decode_image(saved(picture), size=(10, 10), box=(0, 0, 30, 30), channels=1)
    assert left.shape == (1, 10, 10)
    assert left.unique().tolist() == [29]  # blue's share of luma
    with pytest.raises(ImageError, match="expected a box inside 90x30"):
        decode_image(saved(picture), box=(0, 0, 91, 30))


def test_a_large_jpeg_is_decoded_small_and_alike() -> None:
    big = noise(size=(16, 12)).resize((1600, 1200), Image.Resampling.BICUBIC)
    content = saved(big, "JPEG", quality=95)
    small = decode_image(content, size=(60, 80))
    exact = decode_image(encode_png(decode_image(content)), size=(60, 80))
    assert small.shape == (3, 60, 80)
    assert (small.float() - exact.float()).abs().mean() < 1.5


@pytest.mark.parametrize("orientation", [3, 6])
def test_orientation_in_text_turns_nothing(orientation: int) -> None:
    """Pillow's `getexif` takes it; with it, most stolen pictures passed the filter."""
    notes = [xmp_chunk(orientation), raw_profile_chunk(orientation)]
    plain = decode_image(png_of("grey", 8))
    for some in ([notes[0]], [notes[1]], notes):
        assert torch.equal(decode_image(png_of("grey", 8, before=some)), plain)
        assert torch.equal(decode_image(png_of("grey", 8, after=some)), plain)
    still = saved(noise(), "JPEG")
    adobe = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp(orientation))
    assert torch.equal(decode_image(with_segments(still, adobe)), decode_image(still))
    for kind in ("WEBP", "AVIF", "TIFF"):
        extra = {700: xmp(orientation)} if kind == "TIFF" else {}
        options = {"tiffinfo": extra} if extra else {"xmp": xmp(orientation)}
        found, expected = saved(noise(), kind, **options), saved(noise(), kind)
        assert torch.equal(decode_image(found), decode_image(expected)), kind


@pytest.mark.parametrize(
    ("kind", "depth"),
    [("grey", 1), ("grey", 2), ("grey", 4), ("grey", 8), ("grey", 16), ("rgb", 8), ("rgb", 16)],
)
def test_a_colour_key_counts_in_all_depths(kind: str, depth: int) -> None:
    values = levels(1 if kind == "grey" else 3, depth)
    clear = (values == values[13, 18]).all(-1)
    image = decode_image(png_of(kind, depth, before=[key(kind, depth)])).permute(1, 2, 0).numpy()
    assert 0 < clear.sum() < clear.size
    assert (image[clear] == 255).all()
    most = 2**depth - 1
    eight = values >> depth - 8 if depth > 8 else values * (255 // most)
    assert np.array_equal(image[~clear], eight[~clear].astype(np.uint8))


def test_the_shortest_bitmap_is_read() -> None:
    """With the oldest header, and one pixel."""
    head = b"BM" + struct.pack("<IHHI", 30, 0, 0, 26) + struct.pack("<IHHHH", 12, 1, 1, 1, 24)
    assert decode_image(head + bytes([1, 2, 3, 0])).flatten().tolist() == [3, 2, 1]


def test_bands_of_a_bitmap_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    for down in (False, True):
        content = bmp(16, masks=FIELDS, header=56, down=down)
        whole = decode_image(content)
        monkeypatch.setattr("sfumato.data.decoding.bmpfile._BAND", 5 * 37)
        assert torch.equal(decode_image(content), whole)
        monkeypatch.undo()


def test_the_lower_byte_of_a_colour_key_counts() -> None:
    values = np.full((2, 2, 3), 0x1234, np.uint16)
    values[0, 0] = 0x1235
    for kind, cut in (("grey", 1), ("rgb", 3)):
        note = chunk(b"tRNS", struct.pack(f">{cut}H", *[0x1234] * cut))
        image = decode_image(png_of(kind, 16, values=values[:, :, :cut], before=[note]))
        assert image[0].tolist() == [[0x12, 255], [255, 255]]


def test_profiles_and_gamma_are_converted() -> None:
    plain = decode_image(png_of("rgb", 8)).int()
    swapped = decode_image(png_of("rgb", 8, before=[iccp(SWAPPED)])).int()
    assert int((swapped - plain[[1, 0, 2]]).abs().max()) <= 1
    # White, red, green, blue, each x and y: sRGB's with red and green in each other's place.
    points = (0.3127, 0.329, 0.3, 0.6, 0.64, 0.33, 0.15, 0.06)
    told = decode_image(png_of("rgb", 8, before=[gama(1 / 2.2), chrm(points)])).int()
    assert int((told - plain[[1, 0, 2]]).abs().max()) <= 10  # a power of 2.2 is not quite sRGB's
    for gamma in (1 / 2.2, 1 / 2.1, 1 / 2.3):  # which browsers take for sRGB's own curve
        assert torch.equal(decode_image(png_of("rgb", 8, before=[gama(gamma)])).int(), plain)
    for gamma in (1 / 2.05, 1 / 2.35):
        assert not torch.equal(decode_image(png_of("rgb", 8, before=[gama(gamma)])).int(), plain)
    grey = decode_image(png_of("grey", 8, before=[gama(1.0)]))
    assert grey.shape[0] == 1
    light = decode_image(png_of("grey", 8)).double() / 255
    encoded = torch.where(light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, 12.92 * light)
    assert float((grey.double() - 255 * encoded).abs().max()) <= 1


def test_an_animation_without_frames_is_its_still_picture() -> None:
    note = chunk(b"acTL", struct.pack(">II", 1, 0))
    assert torch.equal(
        decode_image(png_of("rgb", 8, before=[note])), decode_image(png_of("rgb", 8))
    )


@pytest.mark.parametrize("size", [1 << 20, 3 << 20, 20 << 20])
def test_large_text_and_profiles_do_not_lose_the_picture(size: int) -> None:
    text = chunk(b"zTXt", b"k\0\0" + zlib.compress(b"a" * size))
    bad = chunk(b"iCCP", b"k\0\0" + zlib.compress(b"a" * size))
    for note in (text, bad, chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(b"a" * size))):
        found = decode_image(png_of("rgb", 8, before=[note], after=[text]))
        assert torch.equal(found, decode_image(png_of("rgb", 8)))


@pytest.mark.parametrize(
    ("kind", "mode"), [("PPM", "L"), ("PPM", "RGB"), ("TIFF", "L"), ("TIFF", "RGB")]
)
def test_pnm_and_tiff_are_read(kind: str, mode: str) -> None:
    picture = noise(mode)
    assert torch.equal(decode_image(saved(picture, kind)), decode_image(saved(picture)))


def test_every_kind_of_pnm_is_read() -> None:
    files = {
        b"P1 2 1\n1 0": [0, 255],
        b"P2 2 1 15\n3 15": [51, 255],
        b"P4 2 1\n\x80": [0, 255],
        b"P5 2 1 255\n\x03\xff": [3, 255],
        b"P5\n# a comment\n2 1 65535\n\x03\xff\xff\0": [3, 255],
    }
    for content, expected in files.items():
        assert decode_image(content).flatten().tolist() == expected, content
    assert decode_image(b"P3 1 1 255\n1 2 3").flatten().tolist() == [1, 2, 3]
    assert decode_image(b"P6 1 1 65535\n\1\0\2\0\3\0").flatten().tolist() == [1, 2, 3]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiffs_orientation_is_its_tag(orientation: int) -> None:
    turned = decode_image(saved(noise(), "TIFF", tiffinfo={274: orientation}))
    as_jpeg = with_segments(saved(noise(), "JPEG", quality=100), app1(orientation))
    assert turned.shape == decode_image(as_jpeg).shape
    expected = decode_image(png_of("grey", 8, before=[chunk(b"eXIf", exif(orientation))]))
    picture = Image.fromarray(decode_image(png_of("grey", 8))[0].numpy())
    assert torch.equal(decode_image(saved(picture, "TIFF", tiffinfo={274: orientation})), expected)


def test_tiffs_of_sixteen_bits_inks_and_transparency_are_read() -> None:
    wide = Image.fromarray(np.array([[0x1234, 0xFF00]], np.uint16))
    assert decode_image(saved(wide, "TIFF")).flatten().tolist() == [0x12, 0xFF]
    negative = saved(wide, "TIFF", tiffinfo={262: 0}).replace(
        struct.pack("<HHIHH", 262, 3, 1, 1, 0), struct.pack("<HHIHH", 262, 3, 1, 0, 0)
    )
    assert decode_image(negative).flatten().tolist() == [0xFF - 0x12, 0]
    clear = saved(Image.new("RGBA", (2, 2), (9, 9, 9, 0)), "TIFF")
    assert decode_image(clear).unique().tolist() == [255]
    inks = decode_image(saved(Image.new("CMYK", (2, 2), (0, 255, 255, 0)), "TIFF"))
    assert inks[:, 0, 0].tolist() == [255, 0, 0]
    packed = saved(noise(), "TIFF", compression="tiff_lzw")
    assert torch.equal(decode_image(packed), decode_image(saved(noise())))
    lab = Image.new("LAB", (2, 2), (128, 128, 128))
    assert (decode_image(saved(lab, "TIFF"))[:, 0, 0].int() - 119).abs().max() <= 1


def test_heic_is_read_upright() -> None:
    image = decode_image(heic_files.STILL)
    assert image.shape == (3, 16, 16)
    blue, red = (torch.tensor(c) for c in ((20, 40, 220), (200, 30, 40)))
    assert (image[:, 8, 3].int() - blue).abs().max() < 9
    assert (image[:, 8, 12].int() - red).abs().max() < 9
    turned = decode_image(heic_files.TURNED)
    assert turned.shape == (3, 24, 16)
    assert (turned[:, 2, 8].int() - blue).abs().max() < 9
    assert len(list(decode_views(heic_files.TWO))) == 2


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isofile, "find_spec", lambda _: None)
    monkeypatch.setattr(isofile.features, "check", lambda _: False)
    with pytest.raises(
        ImageError, match=r"a HEIC, which needs pi-heif; pip install 'sfumato\[heic"
    ):
        decode_image(heic_files.STILL)
    with pytest.raises(ImageError, match="an AVIF, for which this Pillow was not built"):
        decode_image(saved(noise(), "AVIF"))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF", "TIFF"])
def test_views_are_all_frames_and_a_stills_only_view_is_itself(kind: str) -> None:
    pictures = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "lime")]
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100} if kind == "AVIF" else {}
    content = saved(pictures[0], kind, save_all=True, append_images=pictures[1:], **options)
    views = list(decode_views(content))
    assert [view.frame for view in views] == [0, 1, 2]
    for view, colour in zip(views, ((255, 0, 0), (0, 0, 255), (0, 255, 0)), strict=True):
        assert (view.picture[:, 4, 4].int() - torch.tensor(colour)).abs().max() < 5
    alone = saved(pictures[0], kind, **options)
    (view,) = decode_views(alone)
    assert torch.equal(view.picture, decode_image(alone))


def test_a_profile_gives_a_second_view_only_where_it_changes_something() -> None:
    still = saved(noise(), "JPEG", icc_profile=SWAPPED)
    first, second = decode_views(still)
    assert torch.equal(first.picture, decode_image(still))
    assert torch.equal(second.picture, decode_image(saved(noise(), "JPEG")))
    assert (first.frame, second.frame) == (0, 0)
    assert len(list(decode_views(saved(noise(), "JPEG", icc_profile=b"no profile" * 20)))) == 1


def test_fill_bytes_before_a_marker_are_no_marker_and_comments_hold_none() -> None:
    still = saved(noise(), "JPEG")
    turned = decode_image(with_segments(still, app1(6)))
    assert torch.equal(decode_image(with_segments(still, b"\xff\xff\xff", app1(6))), turned)
    for comment in (0xFE, 0xE3):
        content = with_segments(still, segment(comment, b"a" + app1(6) + b"b"))
        assert torch.equal(decode_image(content), decode_image(still))


def test_an_avif_is_shown_by_its_own_profile() -> None:
    plain, swapped = (
        decode_image(saved(noise(), "AVIF", quality=100, subsampling="4:4:4", **profile)).int()
        for profile in ({}, {"icc_profile": SWAPPED})
    )
    png = decode_image(saved(noise(), "PNG", icc_profile=SWAPPED)).int()
    assert float((swapped - plain).abs().float().mean()) > 10
    assert float((swapped - png).abs().float().mean()) < 3


def test_what_comes_after_the_pixels_turns_nothing() -> None:
    still = saved(noise(), "JPEG")
    assert torch.equal(decode_image(still[:-2] + app1(6) + still[-2:]), decode_image(still))
    assert torch.equal(decode_image(still + app1(6)), decode_image(still))


@pytest.mark.parametrize("order", ["<", ">"])
def test_only_one_short_number_from_2_to_8_turns_a_picture(order: str) -> None:
    assert [exif_orientation(exif(i, order)) for i in range(10)] == [1, *range(1, 9), 1]
    for value in range(10):
        assert exif_orientation(exif(value, order, kind=4)) == 1
        assert exif_orientation(exif(value, order, count=2)) == 1


@pytest.mark.parametrize(("width", "height"), [(6, 4), (4, 6), (1, 9)])
def test_what_a_header_claims_is_width_times_height(width: int, height: int) -> None:
    assert open_picture(saved(Image.new("L", (width, height)))).pixels == width * height
