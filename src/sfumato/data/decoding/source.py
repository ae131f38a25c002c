"""One opened file: what it says of itself, and its pictures, none of which is decoded yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from PIL import Image

from sfumato.data.decoding.orientation import UPRIGHT

Check = Callable[[tuple[int, int]], None]
"""Asked with width and height before each picture is decoded; raises where that is too much."""
Pictures = Callable[[Check, tuple[int, int] | None], Iterator[Image.Image]]
"""Decodes one after the other, as stored; a JPEG at a half, a quarter or an eighth of its size
where it stays as large as the given width and height."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file that was recognised, and how to decode what is in it."""

    size: tuple[int, int]
    """Width and height that its header claims."""
    pictures: Pictures
    passes: int = 1
    """How often the decoder goes over all pixels: of a progressive JPEG once a scan."""
    several: bool = False
    """Whether it holds more than one picture: frames or pages."""
    orientation: int = UPRIGHT
    """EXIF orientation that browsers apply."""
    other_orientation: int = UPRIGHT
    """EXIF orientation that only some viewers apply; `UPRIGHT` where there is none."""
    profile: bytes | None = None
    """ICC profile of the samples; None is sRGB."""


def several_in(picture: Image.Image) -> tuple[Pictures, bool]:
    """Return how a file is decoded that may hold an animation, and whether it does."""
    several = bool(getattr(picture, "is_animated", False))
    return (each(picture) if several else one(picture)), several


def one(picture: Image.Image) -> Pictures:
    """Return how a file is decoded that holds one picture, given as Pillow opened it."""

    def pictures(check: Check, least: tuple[int, int] | None) -> Iterator[Image.Image]:
        check(picture.size)
        if least is not None:
            # A JPEG decodes at 1/2, 1/4 or 1/8 for a fraction of the cost.
            picture.draft(None, least)
        picture.load()
        yield picture

    return pictures


def each(picture: Image.Image) -> Pictures:
    """Return how all pictures of a file are decoded that Pillow goes through by itself."""

    def pictures(check: Check, _: tuple[int, int] | None) -> Iterator[Image.Image]:
        index = 0
        while True:
            try:
                picture.seek(index)
            except EOFError:
                return
            check(picture.size)
            picture.load()
            yield picture
            index += 1

    return pictures
