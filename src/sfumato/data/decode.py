"""Bytes of one picture from anywhere to a checked tensor, and back to PNG."""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps
from torch import Tensor

from sfumato.errors import ConfigError, ImageError

Box = tuple[int, int, int, int]
"""A part of a picture: left, top, right, bottom, in pixels."""

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
"""What is decoded. TIFF, PSD and vector formats are left out: their readers are large, and
cameras, browsers and phones upload none of them."""

_WHITE = (255, 255, 255, 255)  # what a page shows beneath a transparent picture
_ORIENTATION = 0x0112  # the EXIF tag
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_GREY = ("1", "L", "LA", "I;16", "I;16B", "I;16L", "I;16N", "I")
_KNOWN = {  # first bytes, for a message that names what came
    b"\x89PNG": "a damaged PNG",
    b"\xff\xd8\xff": "a damaged JPEG",
    b"GIF8": "a damaged GIF",
    b"BM": "a damaged BMP",
    b"RIFF": "a damaged WebP, or sound or video",
    b"II*\0": "a TIFF",
    b"MM\0*": "a TIFF",
    b"%PDF": "a PDF",
    b"<svg": "an SVG",
    b"<?xm": "an XML or SVG file",
    b"8BPS": "a Photoshop file",
    b"PK\3\4": "a ZIP",
    b"\0\0\0\x0cjP": "a JPEG 2000",
    b"\0\0\1\0": "an ICO",
}
# What Pillow's readers raise on malformed bytes; a Warning where a process makes them errors.
_FAULTS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    EOFError,
    OverflowError,
    MemoryError,
    ArithmeticError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    zlib.error,
    Warning,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLimits:
    """How much of a stranger's picture is looked at."""

    max_bytes: int = 32 * 2**20
    """Bytes of the file; checked before anything is read."""
    max_pixels: int = 64_000_000
    """Width times height as the header claims; checked before decoding (192 MB of RGB)."""
    formats: tuple[str, ...] = FORMATS
    """Allowed formats, recognised by content and never by a file's name."""

    def __post_init__(self) -> None:
        if self.max_bytes < 1 or self.max_pixels < 1:
            raise ConfigError("max_bytes and max_pixels must be at least 1")
        if not self.formats or not set(self.formats) <= set(FORMATS):
            raise ConfigError(f"formats must be some of {FORMATS}, got {self.formats}")


def decode_image(
    content: bytes,
    *,
    limits: ImageLimits | None = None,
    channels: Literal[1, 3] | None = None,
    size: tuple[int, int] | None = None,
    box: Box | None = None,
) -> UInt8[Tensor, "c h w"]:
    """Decode one still picture, upright, as 8-bit grey (c = 1) or RGB (c = 3).

    `channels` None keeps grey pictures grey. `box` cuts a part first; `size` (height, width) then
    keeps the largest centred part of that shape and resizes it with antialiasing, so that nothing
    is distorted. 16 bits are rounded to 8, CMYK and palettes become RGB, transparency is laid on
    white, EXIF orientation is applied. Animations are refused: a filter that judges one frame
    would be passed by the others. The second pictures in a phone's JPEG (MPO: depth, gain map)
    are no frames and are ignored.

    Raises:
        ImageError: too many bytes or pixels, an unknown format, an animation, an empty,
            truncated or otherwise malformed picture, a box outside it.
    """
    limits = limits or ImageLimits()
    picture = _open(content, limits)
    try:
        if size is not None and box is None:
            # A JPEG decodes at 1/2, 1/4 or 1/8 for a fraction of the cost; twice the asked size
            # leaves the antialiasing to the resize below.
            picture.draft(None, (2 * max(size), 2 * max(size)))
        picture.load()
        upright = _upright(picture)
        flat = _flat(upright, channels)
    except _FAULTS as error:
        raise ImageError(f"expected a whole {picture.format} picture: {_reason(error)}") from error
    return _tensor(_fitted(flat, size, box))


def png_url(png: bytes) -> str:
    """Return a PNG as the address of an image that is inside the page itself."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def encode_png(image: UInt8[Tensor, "c h w"]) -> bytes:
    """Return a grey (c = 1) or RGB (c = 3) picture as PNG bytes."""
    array = image.cpu().permute(1, 2, 0).numpy()
    buffer = BytesIO()
    Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array).save(buffer, "PNG")
    return buffer.getvalue()


def _open(content: bytes, limits: ImageLimits) -> Image.Image:
    if not content:
        raise ImageError("expected a picture, got 0 bytes")
    if len(content) > limits.max_bytes:
        raise ImageError(
            f"expected at most {limits.max_bytes:,} bytes, got {len(content):,}; "
            "send a smaller picture"
        )
    try:
        picture = Image.open(BytesIO(content), formats=limits.formats)
        width, height = picture.size
        animated = picture.format != "MPO" and getattr(picture, "is_animated", False)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(_too_large(limits, "far more")) from error
    except _FAULTS as error:
        allowed = ", ".join(limits.formats)
        raise ImageError(f"expected a picture ({allowed}), got {_guess(content)}") from error
    if width * height > limits.max_pixels:
        raise ImageError(_too_large(limits, f"{width}x{height}"))
    if width < 1 or height < 1:
        raise ImageError(f"expected at least one pixel, got {width}x{height}")
    if animated:
        raise ImageError("expected a still picture, got an animation; send one frame of it")
    return picture


def _upright(picture: Image.Image) -> Image.Image:
    try:
        orientation = picture.getexif().get(_ORIENTATION, 1)
    except _FAULTS:
        return picture  # viewers show a picture whose EXIF block is broken as it is stored
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return picture if turn is None else picture.transpose(turn)


def _flat(picture: Image.Image, channels: Literal[1, 3] | None) -> Image.Image:
    """Return mode L or RGB: 8 bits, no palette, no transparency."""
    grey = channels == 1 or (channels is None and picture.mode in _GREY)
    if picture.mode.startswith("I"):
        # PNG's 16-bit grey; 65535 / 255 = 257. Pillow's own conversion clips instead of scaling.
        wide = np.asarray(picture).astype(np.int64).clip(0, 65535)
        picture = Image.fromarray(((wide + 128) // 257).astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, _WHITE), picture)
    if picture.mode not in ("L", "RGB"):
        picture = picture.convert("RGB")
    wanted = "L" if grey else "RGB"
    # Pillow copies a picture that is asked to become what it is.
    return picture if picture.mode == wanted else picture.convert(wanted)


def _fitted(picture: Image.Image, size: tuple[int, int] | None, box: Box | None) -> Image.Image:
    if box is not None:
        left, top, right, bottom = box
        if not (0 <= left < right <= picture.width and 0 <= top < bottom <= picture.height):
            raise ImageError(
                f"expected a box inside {picture.width}x{picture.height}, got {box}; "
                "it is (left, top, right, bottom)"
            )
        picture = picture.crop(box)
    if size is None or size == (picture.height, picture.width):
        return picture
    return ImageOps.fit(picture, (size[1], size[0]), Image.Resampling.BICUBIC)


def _tensor(picture: Image.Image) -> UInt8[Tensor, "c h w"]:
    array = np.asarray(picture)
    rows = array[:, :, None] if array.ndim == 2 else array
    # The only copy that is made of the pixels here; torch takes longer for bytes in this order.
    return torch.from_numpy(rows.transpose(2, 0, 1).copy())


def _guess(content: bytes) -> str:
    for start, name in _KNOWN.items():
        if content.startswith(start):
            return name
    if content[4:8] == b"ftyp":
        return "HEIC, AVIF or video data; export it as JPEG"
    return f"{len(content):,} bytes of something else"


def _too_large(limits: ImageLimits, got: str) -> str:
    return f"expected at most {limits.max_pixels:,} pixels, got {got}; send a smaller picture"


def _reason(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:120]
