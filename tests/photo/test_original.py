from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

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
