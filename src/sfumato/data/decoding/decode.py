"""Bytes of one picture from anywhere to a checked tensor, and back to PNG."""

from __future__ import annotations

import base64
import hashlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from sfumato.data.decoding.formats import FORMATS, format_of, guess, read
from sfumato.data.decoding.layers import on_white, reduced
from sfumato.data.decoding.orientation import UPRIGHT, turned
from sfumato.data.decoding.source import Source
from sfumato.errors import ConfigError, ImageError

Box = tuple[int, int, int, int]
"""A part of a picture: left, top, right, bottom, in pixels."""

_PASSES = 12
_SEVERAL = {"TIFF": "several pages", "HEIF": "several pictures"}
# What Pillow's readers raise on malformed bytes; a Warning where a process makes them errors.
_FAULTS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    AssertionError,
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
    kept_pixels: int = 16_000_000
    """Pixels that are looked at. A larger picture is made smaller, by a half or a quarter of its
    sides, until it has no more: as a JPEG while it is decoded. No format takes more than five bytes
    a pixel of its full size; what follows takes many."""
    max_frames: int = 400
    """Frames of an animation, or pages; of those that `decode_views` looks at."""
    max_moving_pixels: int = 256_000_000
    """Width times height times frames, or times the passes in which a JPEG comes; a second or two
    of decoding. A dozen passes are always taken: cameras and editors write ten."""
    formats: tuple[str, ...] = FORMATS
    """Allowed formats, recognised by content and never by a file's name."""

    def __post_init__(self) -> None:
        pixels = (self.max_pixels, self.kept_pixels, self.max_moving_pixels)
        if min(self.max_bytes, self.max_frames, *pixels) < 1:
            raise ConfigError("limits of bytes, pixels and frames must be at least 1")
        if not self.formats or not set(self.formats) <= set(FORMATS):
            raise ConfigError(f"formats must be some of {FORMATS}, got {self.formats}")


@dataclass(frozen=True, slots=True)
class View:
    """One of the pictures that viewers may show of a file."""

    picture: UInt8[Tensor, "c h w"]
    frame: int
    """Which frame or page of the file it is, from 0."""


def decode_image(
    content: bytes,
    *,
    limits: ImageLimits | None = None,
    channels: Literal[1, 3] | None = None,
    size: tuple[int, int] | None = None,
    box: Box | None = None,
) -> UInt8[Tensor, "c h w"]:
    """Decode one still picture as browsers show it on white: 8-bit grey (c = 1) or RGB (c = 3).

    A picture of more than `limits.kept_pixels` is made smaller, unless a `size` or a `box` says
    what of it is wanted. `channels` None keeps grey pictures grey. `box` cuts a part first; `size`
    (height, width) then keeps the largest centred part of that shape and resizes it with
    antialiasing, so that nothing is distorted. Of 16 bits the upper 8 count, CMYK and palettes
    become RGB, colour profiles are converted to sRGB, EXIF orientation is applied and that of XMP
    or text is not. Animations and files of several pages are refused: a release of one frame would
    lose the others. The second pictures in a phone's JPEG (MPO: depth, gain map) are no frames and
    are ignored.

    Raises:
        ImageError: too many bytes or pixels, an unknown format or one whose reader is not
            installed, an animation, high dynamic range, an empty, truncated or otherwise malformed
            picture, a box outside it.
    """
    limits = limits or ImageLimits()
    name, source = _open(content, limits)
    if source.several:
        raise ImageError(
            f"expected a still picture, got {_SEVERAL.get(name, 'an animation')}; send one of "
            f"its {'pages' if name == 'TIFF' else 'frames'}"
        )
    try:
        stored = _still(source, limits, size, box)
        flat = turned(on_white(stored, source.profile), source.orientation)
    except ImageError:
        raise
    except _FAULTS as error:
        raise _damaged(name, error) from error
    wanted = {1: "L", 3: "RGB", None: flat.mode}[channels]
    # Pillow copies a picture that is asked to become what it is.
    return _tensor(_fitted(flat if flat.mode == wanted else flat.convert(wanted), size, box))


def decode_views(content: bytes, *, limits: ImageLimits | None = None) -> Iterator[View]:
    """Yield every picture that viewers may show of a file; see `OpenedPicture.views`.

    Raises:
        ImageError: as `decode_image`, and too many frames; when the one at fault is reached.
    """
    yield from open_picture(content, limits=limits).views()


def open_picture(content: bytes, *, limits: ImageLimits | None = None) -> OpenedPicture:
    """Return a file whose header was read, and nothing decoded.

    Raises:
        ImageError: as `decode_image`, as far as the header says.
    """
    limits = limits or ImageLimits()
    return OpenedPicture(*_open(content, limits), limits)


@dataclass(frozen=True, slots=True)
class OpenedPicture:
    """A file of a known format."""

    name: str
    """Its format."""
    source: Source
    limits: ImageLimits

    @property
    def pixels(self) -> int:
        """Width times height, as the header claims; of an animation, or of pages, one."""
        return self.source.size[0] * self.source.size[1]

    def views(self) -> Iterator[View]:
        """Yield every picture that viewers may show, of each frame first what browsers do.

        They are all frames as they are composed, a still picture that an animation hides from
        viewers that know it, and all pages; each of these also without its colour profile, and
        turned by EXIF where browsers do not turn it: there are viewers that do. A filter that
        judged fewer would be passed by the others. None comes twice. All are made smaller until
        they have `limits.kept_pixels`.

        Raises:
            ImageError: the file is malformed, or has too many frames; when that is reached.
        """
        source, limits = self.source, self.limits
        readings = [
            (profile, turn)
            for profile in dict.fromkeys((source.profile, None))
            for turn in _orientations(source)
        ]
        alone = not source.several and len(readings) == 1
        seen: set[bytes] = set()
        try:
            for frame, whole in enumerate(source.pictures(_Budget(limits), _draft(source, limits))):
                stored = reduced(whole, _rest(source, whole, limits))
                for profile, turn in readings:
                    picture = _tensor(turned(on_white(stored, profile), turn))
                    digest = b"" if alone else _digest(picture)
                    if digest not in seen:
                        seen.add(digest)
                        yield View(picture, frame)
        except ImageError:
            raise
        except _FAULTS as error:
            raise _damaged(self.name, error) from error


def png_url(png: bytes) -> str:
    """Return a PNG as the address of an image that is inside the page itself."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def encode_png(image: UInt8[Tensor, "c h w"]) -> bytes:
    """Return a grey (c = 1) or RGB (c = 3) picture as PNG bytes."""
    array = image.cpu().permute(1, 2, 0).numpy()
    buffer = BytesIO()
    Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array).save(buffer, "PNG")
    return buffer.getvalue()


def _open(content: bytes, limits: ImageLimits) -> tuple[str, Source]:
    if not content:
        raise ImageError("expected a picture, got 0 bytes")
    if len(content) > limits.max_bytes:
        raise ImageError(
            f"expected at most {limits.max_bytes:,} bytes, got {len(content):,}; "
            "send a smaller picture"
        )
    name = format_of(content)
    if name is None or name not in limits.formats:
        raise ImageError(f"expected a picture ({', '.join(limits.formats)}), got {guess(content)}")
    try:
        source = read(content, name)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(_too_large(limits, "far more")) from error
    except ImageError:
        raise
    except _FAULTS as error:
        raise ImageError(f"expected a picture, got a damaged {name}: {_reason(error)}") from error
    _check_size(source.size, limits)
    _check_passes(source, limits)
    return name, source


def _check_passes(source: Source, limits: ImageLimits) -> None:
    most = max(_PASSES, limits.max_moving_pixels // max(1, source.size[0] * source.size[1]))
    if source.passes > most:
        raise ImageError(
            f"expected a JPEG of at most {most} passes at {source.size[0]}x{source.size[1]}, got "
            f"{source.passes}; save it anew"
        )


def _still(
    source: Source, limits: ImageLimits, size: tuple[int, int] | None, box: Box | None
) -> Image.Image:
    budget = _Budget(limits)
    if box is not None:
        return next(source.pictures(budget, None))
    if size is not None:
        # Twice the asked size leaves the antialiasing to the resize that follows.
        return next(source.pictures(budget, (2 * max(size), 2 * max(size))))
    whole = next(source.pictures(budget, _draft(source, limits)))
    return reduced(whole, _rest(source, whole, limits))


def _draft(source: Source, limits: ImageLimits) -> tuple[int, int] | None:
    factor = _factor(source.size, limits)
    width, height = source.size
    return None if factor == 1 else (max(1, width // factor), max(1, height // factor))


def _rest(source: Source, whole: Image.Image, limits: ImageLimits) -> int:
    """Return by what a decoded picture's sides are still divided: a JPEG may be smaller already."""
    if source.several:
        return _factor(whole.size, limits)
    done = round(max(source.size) / max(whole.size))
    return max(1, _factor(source.size, limits) // max(1, done))


def _factor(size: tuple[int, int], limits: ImageLimits) -> int:
    """Return by what a picture's sides are divided: 1, 2, 4 and so on."""
    factor = 1
    while size[0] * size[1] > limits.kept_pixels * factor**2:
        factor *= 2
    return factor


class _Budget:
    """Asked before each picture of a file is decoded."""

    def __init__(self, limits: ImageLimits) -> None:
        self._limits, self._frames, self._pixels = limits, 0, 0

    def __call__(self, size: tuple[int, int]) -> None:
        limits = self._limits
        _check_size(size, limits)
        self._frames += 1
        self._pixels += size[0] * size[1]
        if self._frames > limits.max_frames:
            raise ImageError(f"expected at most {limits.max_frames:,} frames, got more; send fewer")
        if self._frames > 1 and self._pixels > limits.max_moving_pixels:
            raise ImageError(
                f"expected at most {limits.max_moving_pixels:,} pixels in all frames, got more; "
                "send fewer frames, or smaller ones"
            )


def _check_size(size: tuple[int, int], limits: ImageLimits) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise ImageError(_too_large(limits, f"{width}x{height}"))
    if width < 1 or height < 1:
        raise ImageError(f"expected at least one pixel, got {width}x{height}")


def _orientations(source: Source) -> list[int]:
    other = source.other_orientation
    return [source.orientation, *([other] if other not in (UPRIGHT, source.orientation) else [])]


def _digest(picture: UInt8[Tensor, "c h w"]) -> bytes:
    shape = struct.pack("<3I", *picture.shape)
    return hashlib.blake2b(shape + picture.numpy().tobytes(), digest_size=16).digest()


def _damaged(name: str, error: BaseException) -> ImageError:
    return ImageError(f"expected a whole {name} picture: {_reason(error)}")


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


def _too_large(limits: ImageLimits, got: str) -> str:
    return f"expected at most {limits.max_pixels:,} pixels, got {got}; send a smaller picture"


def _reason(error: BaseException) -> str:
    said = str(error).strip()
    # Pillow names its buffer by an address in memory, and some readers fail at an assertion.
    if isinstance(error, UnidentifiedImageError):
        return "its header is not that of one"
    if not said or not isinstance(error, OSError | SyntaxError | ValueError):
        return "its parts do not fit together"
    return said.splitlines()[0][:120]
