"""What a caller may ask of any source of images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torchvision.transforms.v2.functional as vision
from jaxtyping import UInt8
from torch import Tensor

from sfumato.data.decode import Box
from sfumato.errors import ConfigError, DataError

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


def pick(total: int, options: SourceOptions, name: str) -> list[int]:
    """Return the positions of the images to load, in order: all, or `count` drawn by `seed`.

    Raises:
        DataError: more are asked for than there are.
    """
    if options.count is None:
        return list(range(total))
    if options.count > total:
        raise DataError(f"{name} has {total:,} images, but count is {options.count:,}")
    order = torch.randperm(total, generator=torch.Generator().manual_seed(options.seed))
    return order[: options.count].sort().values.tolist()


def conform(images: UInt8[Tensor, "n c h w"], options: SourceOptions) -> UInt8[Tensor, "n c2 H W"]:
    """Cut, resize (antialiased) and colour decoded images as the options ask."""
    if options.box is not None:
        left, top, right, bottom = options.box
        height, width = images.shape[2:]
        if not (0 <= left < right <= width and 0 <= top < bottom <= height):
            raise ConfigError(f"the box {options.box} is not inside {width}x{height}")
        images = images[:, :, top:bottom, left:right]
    if options.shape is not None and options.shape != tuple(images.shape[2:]):
        bicubic = vision.InterpolationMode.BICUBIC
        images = vision.resize(images, list(options.shape), bicubic, antialias=True)
    if options.channels == 1 and images.shape[1] == 3:
        images = vision.rgb_to_grayscale(images)
    if options.channels == 3 and images.shape[1] == 1:
        images = images.repeat(1, 3, 1, 1)
    return images.contiguous()


def no_split(name: str, options: SourceOptions) -> None:
    """Refuse a split of a set that was published without one."""
    if options.split != "all":
        raise DataError(
            f"{name} has no published split {options.split!r}; load all of it and split it with "
            "sfumato.data.splits"
        )
