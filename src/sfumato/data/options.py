"""What a caller may ask of any source of images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sfumato.data.decoding.decode import Box
from sfumato.errors import ConfigError

Split = Literal["all", "train", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """Options of `sfumato.data.load`; every source honours all of them."""

    split: Split = "all"
    """The published split, or all of them together."""
    data_dir: Path | None = None
    """Folder that holds one folder a set (`mnist/`, `lfw/`, ...) in its published format."""
    seed: int = 0
    """Draws the `count` images, and everything random of a source that is drawn."""
    size: int | tuple[int, int] | None = None
    """Height and width (one number: both); None keeps the set's own."""
    count: int | None = None
    """Number of images, drawn at random without repetition; None takes all."""
    channels: Literal[1, 3] | None = None
    """1 grey, 3 RGB, None as the set is."""
    box: Box | None = None
    """Part of each picture to keep (left, top, right, bottom), cut before resizing."""
    cache: Path | None = None
    """Folder of decoded pictures; None is `$SFUMATO_CACHE`, or else the user's cache folder."""

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise ConfigError(f"count must be at least 1, got {self.count}")
        if self.shape is not None and min(self.shape) < 1:
            raise ConfigError(f"size must be at least 1, got {self.size}")

    @property
    def shape(self) -> tuple[int, int] | None:
        """`size` as (height, width)."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    def shape_of(self, own: tuple[int, int]) -> tuple[int, int]:
        """Return height and width of the pictures of a set whose files have the size `own`."""
        if self.shape is not None:
            return self.shape
        if self.box is None:
            return own
        left, top, right, bottom = self.box
        return bottom - top, right - left
