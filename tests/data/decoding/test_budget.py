"""A picture of many pixels is looked at smaller: the mean of its squares, whatever its mode."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from sfumato.data.decoding.decode import ImageLimits, decode_image, decode_views
from sfumato.errors import ImageError

SIDES = 61, 47  # odd: the last row and column are of half a square
FEW = ImageLimits(kept_pixels=800)  # a quarter of it is 713


def noise(channels: int) -> np.ndarray:
    shape = (*SIDES, channels)
    coarse = np.random.default_rng(0).integers(0, 256, (9, 7, channels), dtype=np.uint8)
    return np.kron(coarse, np.ones((7, 7, 1), np.uint8))[: shape[0], : shape[1]]


def file(picture: Image.Image, kind: str = "PNG", **settings: object) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, kind, **settings)
    return buffer.getvalue()


def transparent() -> Image.Image:
    """Hidden beneath the transparent half is another picture, which must not show."""
    pixels = noise(4)
    pixels[..., 3] = np.where(np.arange(SIDES[1]) % 2, 255, 0)
    return Image.fromarray(pixels)


def sixteen_bits() -> Image.Image:
    return Image.fromarray(noise(1)[..., 0].astype(np.uint16) * 257)


PICTURES = {
    "grey": file(Image.fromarray(noise(1)[..., 0])),
    "colour": file(Image.fromarray(noise(3))),
    "transparent": file(transparent()),
    "palette": file(Image.fromarray(noise(3)).quantize(200)),
    "palette with a transparent colour": file(
        Image.fromarray(noise(3)).quantize(200), transparency=3
    ),
    "grey of 16 bits": file(sixteen_bits()),
    "one bit": file(Image.fromarray(noise(1)[..., 0]).convert("1", dither=Image.Dither.NONE)),
    "WebP": file(Image.fromarray(noise(3)), "WEBP", lossless=True),
    "TIFF in CMYK": file(Image.fromarray(noise(3)).convert("CMYK"), "TIFF"),
    "BMP": file(Image.fromarray(noise(3)), "BMP"),
}


def squares(whole: torch.Tensor) -> torch.Tensor:
    """Each pixel the mean of two by two, at the edges of what there is of them."""
    x = whole.double()[None]
    return torch.nn.functional.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)[0]


@pytest.mark.parametrize("name", PICTURES)
def test_it_is_the_mean_of_what_viewers_show(name: str) -> None:
    content = PICTURES[name]
    whole = decode_image(content)
    (view,) = decode_views(content, limits=FEW)
    assert torch.equal(decode_image(content, limits=FEW), view.picture)
    assert view.picture.shape == (len(whole), 31, 24)
    far = (view.picture.double() - squares(whole)).abs().max()
    assert far <= 2, far


def test_bands_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    from sfumato.data.decoding import layers

    once = decode_image(PICTURES["transparent"], limits=FEW)
    monkeypatch.setattr(layers, "_BAND", 1)
    assert torch.equal(decode_image(PICTURES["transparent"], limits=FEW), once)


def test_a_jpeg_is_decoded_small() -> None:
    content = file(Image.fromarray(noise(3)), "JPEG", quality=95, subsampling=0)
    small = decode_image(content, limits=FEW)
    assert small.shape == (3, 31, 24)
    assert float((small.double() - squares(decode_image(content))).abs().mean()) < 6


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("size", [(401, 399), (400, 400), (1, 160_000), (3, 50_000)])
def test_nothing_is_halved_twice(kind: str, size: tuple[int, int]) -> None:
    width, height = size
    if kind == "JPEG" and height > 65_500:
        height = 65_500
    limits = ImageLimits(kept_pixels=40_000)
    made = decode_image(file(Image.new("L", (width, height), 77), kind), limits=limits)
    factor = 1
    while width * height > 40_000 * factor**2:
        factor *= 2
    assert made.shape == (1, -(-height // factor), -(-width // factor))
    assert made.unique().tolist() == [77]


def test_a_size_or_a_box_is_of_the_whole_picture() -> None:
    content = PICTURES["colour"]
    whole = decode_image(content)
    box = decode_image(content, limits=FEW, box=(3, 4, 40, 50))
    assert torch.equal(box, whole[:, 4:50, 3:40])
    asked = decode_image(content, limits=FEW, size=(60, 46))
    assert torch.equal(asked, decode_image(content, size=(60, 46)))


PROGRESSIVE_SCANS = 6  # that Pillow makes of a grey picture


def progressive(scans: int, side: int = 3000) -> bytes:
    """A progressive JPEG whose last scan, a few bytes for each row of blocks, comes again."""
    content = file(Image.new("L", (side, side), 90), "JPEG", progressive=True)
    last = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + last * scans + content[-2:]


def test_a_jpeg_that_comes_in_many_passes_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(ImageError, match="at most 28 passes at 3000x3000, got 306"):
        decode_image(progressive(300))
    assert decode_image(progressive(0)).unique().tolist() == [90]


def test_a_camera_s_second_pictures_are_no_passes_of_the_first() -> None:
    first, thumbnail = progressive(0), progressive(300, side=8)
    assert decode_image(first + thumbnail).unique().tolist() == [90]
    inside = first[:2] + b"\xff\xe3" + (2 + 600).to_bytes(2) + b"\xff\xda\xff\xd9" * 150 + first[2:]
    assert decode_image(inside).unique().tolist() == [90]


def test_a_large_picture_has_a_dozen_passes_however_few_pixels_may_move() -> None:
    few = ImageLimits(max_moving_pixels=1)
    own = decode_image(progressive(0, side=64), limits=few)
    with pytest.raises(ImageError, match="at most 12 passes at 64x64, got 13"):
        decode_image(progressive(13 - PROGRESSIVE_SCANS, side=64), limits=few)
    allowed = progressive(12 - PROGRESSIVE_SCANS, side=64)
    assert torch.equal(decode_image(allowed, limits=few), own)
