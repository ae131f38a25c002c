"""The views of an upload that are hashed, so that a copy turned, mirrored or framed is found.

PDQ hashes of a picture and of its mirror image have nothing in common. A device sends one hash of
each private picture; the platform hashes eight views of an upload (turned by quarters, each also
mirrored) and, where the picture has borders, the same eight of what lies inside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from PIL import Image
from torch import Tensor

from sfumato.filter.neardup import BYTES, pdq, stack

Picture = UInt8[Tensor, "_ _ _"]
"""Channels, rows and columns; those of a view are its own."""
Grey = Float[np.ndarray, "_ _"]
Flags = Bool[np.ndarray, " _"]
Border = Callable[[Grey], Flags]
"""Which rows belong to a border."""

_SIDE: Final = 512
"""Longest side of the views: what the authors of PDQ reduce pictures to. The hashes of larger
photographs differ by 11 bits on average from those at their own size, and by 20 at most of 42."""
_LEAST: Final = 24  # of a side that is left between borders
_NEAR: Final = 5  # levels within which a border's pixels agree; JPEG moves flat ones by a few
_PLAIN: Final = 0.97
"""Share of a row that has the border's own colour: a frame or a letterbox."""
_MARKED: Final = 0.8
"""Share of a row that has one colour, whichever: a bar with a clock and symbols on it."""
_ROTATED: Final[tuple[Callable[[Picture], Picture], ...]] = tuple(
    rotated
    for quarters in range(4)
    for rotated in (
        lambda x, k=quarters: x.rot90(k, (1, 2)),
        lambda x, k=quarters: x.rot90(k, (1, 2)).flip(2),
    )
)


def view_hashes(image: Picture) -> UInt8[Tensor, "k 32"]:
    """Return the hashes of a picture's views, its own first; none where all are too flat.

    Raises:
        UnavailableError: pdqhash is not installed.
    """
    small = _small(image)
    found = [pdq(image), *(pdq(rotated(small)) for rotated in _ROTATED[1:])]
    for inside in unframed(small):
        found += [pdq(rotated(inside)) for rotated in _ROTATED]
    hashes = stack(found)
    return torch.empty(0, BYTES, dtype=torch.uint8) if hashes is None else hashes


def unframed(image: Picture) -> Iterator[Picture]:
    """Yield what lies inside a picture's borders: of one colour, and of rows of any colour each."""
    grey = image.float().mean(0).numpy()
    seen = {(0, grey.shape[0], 0, grey.shape[1])}
    for box in (_inside(grey, _like_the_border), _inside(grey, _plain_rows)):
        top, bottom, left, right = box
        if box not in seen and min(bottom - top, right - left) >= _LEAST:
            seen.add(box)
            yield image[:, top:bottom, left:right]


def _inside(grey: Grey, border: Border) -> tuple[int, int, int, int]:
    """Return (top, bottom, left, right) of what is left without border rows, then columns."""
    top, bottom = _between(grey, border)
    left, right = _between(grey[top:bottom].T, border)
    return top, bottom, left, right


def _between(rows: Grey, border: Border) -> tuple[int, int]:
    first, last = (_run(border(side)) for side in (rows, rows[::-1]))
    return (first, len(rows) - last) if first + last < len(rows) else (0, len(rows))


def _run(flags: Flags) -> int:
    return len(flags) if flags.all() else int(flags.argmin())


def _like_the_border(rows: Grey) -> Flags:
    near: Flags = (np.abs(rows - np.median(rows[0])) <= _NEAR).mean(1) >= _PLAIN
    return near


def _plain_rows(rows: Grey) -> Flags:
    near: Flags = (np.abs(rows - np.median(rows, axis=1, keepdims=True)) <= _NEAR).mean(
        1
    ) >= _MARKED
    return near


def _small(image: Picture) -> Picture:
    """Return the picture with no side longer than `_SIDE`."""
    height, width = image.shape[1:]
    scale = _SIDE / max(height, width)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    pixels = image.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()
    shrunk = Image.fromarray(pixels).resize(size, Image.Resampling.BOX)
    return torch.from_numpy(np.array(shrunk)).permute(2, 0, 1)
