from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageFile

from sfumato.errors import ImageError
from sfumato.photo.original import open_original
from tests.photo.album import encoded, phone_jpeg, picture, srgb


def opened(content: bytes) -> Image.Image:
    return Image.open(BytesIO(content))


def test_a_phones_jpeg_comes_out_upright_with_its_profile_and_nothing_else() -> None:
    content = phone_jpeg()
    original = open_original(content)
    written = original.encoded(original.pixels)
    out = opened(written)
    assert (out.format, out.size) == ("JPEG", (512, 512))
    assert out.info["icc_profile"] == srgb()
    assert not out.getexif()
    assert "comment" not in out.info
    for private in (b"phone", b"Exif", b"private"):
        assert private in content
        assert private not in written
    assert out.quantization == opened(content).quantization
    difference = np.asarray(out).astype(int) - np.asarray(picture())
    assert np.abs(difference).mean() < 4


def renumbered(content: bytes, numbers: dict[int, int]) -> bytes:
    """Return a JPEG whose quantisation tables have other numbers: which is up to its encoder."""
    made, place = bytearray(content), 2
    while (marker := made[place + 1]) != 0xDA:
        length = int.from_bytes(made[place + 2 : place + 4])
        if marker == 0xDB:
            for at in range(place + 4, place + 2 + length, 65):
                made[at] = numbers[made[at]]
        if marker == 0xC0:
            for channel in range(made[place + 9]):
                made[place + 12 + 3 * channel] = numbers[made[place + 12 + 3 * channel]]
        place += 2 + length
    return bytes(made)


@pytest.mark.parametrize(
    ("mode", "numbers"), [("L", {0: 1}), ("RGB", {0: 2, 1: 3}), ("RGB", {0: 1, 1: 0})]
)
def test_a_jpegs_tables_stay_whatever_their_numbers_are(mode: str, numbers: dict[int, int]) -> None:
    content = encoded(picture().convert(mode), "JPEG", quality=80)
    tables = opened(content).quantization
    original = open_original(renumbered(content, numbers))
    assert opened(original.encoded(original.pixels)).quantization == tables


def test_a_progressive_jpeg_of_fine_noise_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    with monkeypatch.context() as other:  # an encoder that has the room
        other.setattr(ImageFile, "MAXBLOCK", 1 << 22)
        content = encoded(
            Image.fromarray(noise), "JPEG", quality=100, subsampling=0, progressive=True
        )
    original = open_original(content)
    out = opened(original.encoded(original.pixels))
    assert out.quantization == opened(content).quantization
    assert np.abs(np.asarray(out).astype(int) - noise).mean() < 2


@pytest.mark.parametrize(
    ("content", "format_", "name"),
    [
        (encoded(picture(), "PNG"), "PNG", "a.PNG"),
        (encoded(picture(), "WEBP", quality=80), "WEBP", "a.webp"),
        (encoded(picture().convert("L"), "JPEG"), "JPEG", "a.jpeg"),
        (encoded(picture(), "BMP"), "PNG", "a.png"),
        (encoded(picture(), "AVIF"), "JPEG", "a.jpg"),
        (encoded(picture().convert("CMYK"), "JPEG"), "JPEG", "a.jpg"),
    ],
)
def test_the_format_stays_or_becomes_what_viewers_open(
    content: bytes, format_: str, name: str
) -> None:
    original = open_original(content)
    assert opened(original.encoded(original.pixels)).format == format_
    assert opened(original.encoded(original.pixels)).size == (512, 512)
    assert original.renamed(name) == name
    assert original.renamed("a.other") != "a.other"


def test_lossless_files_keep_every_pixel() -> None:
    for content in (encoded(picture(), "PNG"), encoded(picture(), "WEBP", lossless=True)):
        original = open_original(content)
        out = np.asarray(opened(original.encoded(original.pixels)))
        assert (out == np.asarray(picture())).all()


def test_the_profiles_own_numbers_are_kept() -> None:
    content = encoded(picture(), "PNG", icc_profile=srgb())
    original = open_original(content)
    assert (original.pixels.permute(1, 2, 0).numpy() == np.asarray(picture())).all()


def test_transparency_is_shown_on_white() -> None:
    clear = picture().convert("RGBA")
    clear.putalpha(0)
    original = open_original(encoded(clear, "PNG"))
    assert int(original.pixels.min()) == 255  # the face beneath does not go along


def test_animations_are_refused() -> None:
    frames = encoded(picture(), "GIF", save_all=True, append_images=[picture().rotate(90)])
    with pytest.raises(ImageError, match="still picture"):
        open_original(frames)
