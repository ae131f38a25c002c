"""Boxes of faces in a picture: how much two have in common, and one box of several for one face."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

BEYOND: Final = 0.25
"""Of a picture's width and height, that a box may reach beyond it."""
SAME: Final = 0.3
"""Of their union, that two boxes of one face have in common at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """A face's tight box, in pixels of the upright picture; it may reach beyond the picture."""

    left: float | int
    top: float | int
    right: float | int
    bottom: float | int
    score: float | int = 1.0
    """How sure the detector is, 0 to 1; 1 of a box that a person drew."""

    @property
    def width(self) -> float | int:
        """Pixels across."""
        return self.right - self.left

    @property
    def height(self) -> float | int:
        """Pixels down."""
        return self.bottom - self.top

    @property
    def area(self) -> float | int:
        """Pixels inside; 0 of a box that is inside out."""
        return max(0.0, self.width) * max(0.0, self.height)

    def common(self, other: Face) -> float | int:
        """Return the area that lies in both."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, across) * max(0.0, down)

    def overlap(self, other: Face) -> float | int:
        """Return the common area over the area of both together, 0 to 1."""
        common = self.common(other)
        either = self.area + other.area - common
        return common / either if either > 0 else 0.0

    def cut(self, other: Face) -> Face:
        """Return what of the box lies in another."""
        return replace(
            self,
            left=max(self.left, other.left),
            top=max(self.top, other.top),
            right=min(self.right, other.right),
            bottom=min(self.bottom, other.bottom),
        )

    def grown(self, share: float | int) -> Face:
        """Return the box with this share of its width and height more on each side."""
        across, down = share * self.width, share * self.height
        return replace(
            self,
            left=self.left - across,
            top=self.top - down,
            right=self.right + across,
            bottom=self.bottom + down,
        )

    def scaled(self, factor: float | int, down: float | int | None = None) -> Face:
        """Return the box in a picture whose sides are so many times as long."""
        down = factor if down is None else down
        return replace(
            self,
            left=self.left * factor,
            top=self.top * down,
            right=self.right * factor,
            bottom=self.bottom * down,
        )

    def shifted(self, across: float | int, down: float | int) -> Face:
        """Return the box moved to the right and down."""
        return replace(
            self,
            left=self.left + across,
            top=self.top + down,
            right=self.right + across,
            bottom=self.bottom + down,
        )


def in_picture(faces: Iterable[Face], size: tuple[int, int]) -> list[Face]:
    """Return the boxes that show something of a picture with this width and height.

    They are cut where they reach further beyond it than `BEYOND`.
    """
    whole = Face(left=0, top=0, right=size[0], bottom=size[1])
    return [face.cut(whole.grown(BEYOND)) for face in faces if face.common(whole) > 0]


def merged(faces: Iterable[Face]) -> list[Face]:
    """Return one box a face, the surest first: of boxes that overlap, the surest stays."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if all(face.overlap(other) <= SAME for other in kept):
            kept.append(face)
    return kept


def between(one: Face, other: Face, share: float | int) -> Face:
    """Return the box that lies on the line between two, 0 being the first and 1 the other."""

    def mixed(a: float | int, b: float | int) -> float:
        return float(a + (b - a) * share)

    return Face(
        left=mixed(one.left, other.left),
        top=mixed(one.top, other.top),
        right=mixed(one.right, other.right),
        bottom=mixed(one.bottom, other.bottom),
        score=min(one.score, other.score),
    )


def hull(faces: Sequence[Face]) -> Face:
    """Return the smallest box around several."""
    return Face(
        left=min(face.left for face in faces),
        top=min(face.top for face in faces),
        right=max(face.right for face in faces),
        bottom=max(face.bottom for face in faces),
        score=max(face.score for face in faces),
    )


def rotated_back(face: Face, quarters: int, size: tuple[int, int]) -> Face:
    """Return where a box lies that was found after `torch.rot90(picture, quarters)`.

    `size` is the height and width of the picture before the rotation.
    """
    height, width = size
    left, top, right, bottom = face.left, face.top, face.right, face.bottom
    places: Sequence[tuple[float, float, float, float]] = (
        (left, top, right, bottom),
        (width - bottom, left, width - top, right),
        (width - right, height - bottom, width - left, height - top),
        (top, height - right, bottom, height - left),
    )
    left, top, right, bottom = places[quarters % 4]
    return replace(face, left=left, top=top, right=right, bottom=bottom)
