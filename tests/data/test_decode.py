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
from sfumato.errors import ConfigError, ImageError


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


def png(width: int, height: int, *rest: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(rest)


IDAT = chunk(b"IDAT", zlib.compress(b"\0" * 10**6))


def frames(kind: str) -> bytes:
    pictures = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "green")]
    return saved(pictures[0], kind, save_all=True, append_images=pictures[1:], duration=40)


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "got 0 bytes"),
    "text": (lambda: b"hello there", "got 11 bytes of something else"),
    "SVG": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "got an SVG"),
    "PDF": (lambda: b"%PDF-1.7 ...", "got a PDF"),
    "ZIP": (lambda: b"PK\3\4" + b"\0" * 60, "got a ZIP"),
    "TIFF": (lambda: saved(noise(), "TIFF"), "got a TIFF"),
    "HEIC": (lambda: b"\0\0\0\x18ftypheic" + b"\0" * 40, "export it as JPEG"),
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
    "JPEG header only": (lambda: saved(noise(), "JPEG")[:20], "got a damaged JPEG"),
    "BMP cut short": (lambda: saved(noise(), "BMP")[:-700], "expected a whole BMP"),
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
    assert len(str(caught.value)) < 300


def test_too_many_bytes_are_refused_before_they_are_looked_at() -> None:
    with pytest.raises(ImageError, match="at most 100 bytes, got 101"):
        decode_image(b"\0" * 101, limits=ImageLimits(max_bytes=100))


def test_only_allowed_formats_are_read_whatever_the_bytes_claim() -> None:
    with pytest.raises(ImageError, match=r"expected a picture \(PNG\)"):
        decode_image(saved(noise(), "JPEG"), limits=ImageLimits(formats=("PNG",)))
    with pytest.raises(ConfigError, match="formats must be some of"):
        ImageLimits(formats=("TIFF",))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_pictures_give_a_picture_or_an_image_error(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "BMP"]))
    content = bytearray(saved(noise(size=(12, 9)), kind))
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content)))]
    try:
        image = decode_image(bytes(content), limits=ImageLimits(max_pixels=10_000))
    except ImageError:
        return
    assert image.dtype == torch.uint8
    assert image.shape[0] in (1, 3)


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


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
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
