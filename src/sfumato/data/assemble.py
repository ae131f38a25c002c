"""From what a source holds to what its options ask: which images, of what shape and colour."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import UInt8
from torch import Tensor

from sfumato.counted import counted
from sfumato.data.options import SourceOptions
from sfumato.data.order import random_order
from sfumato.errors import ConfigError, DataError


def pick(total: int, options: SourceOptions, name: str) -> list[int]:
    """Return the positions of the images to load, in order: all, or `count` drawn by `seed`.

    Raises:
        DataError: more are asked for than there are.
    """
    return sorted(ordered(total, options, name)[: options.count])


def ordered(total: int, options: SourceOptions, name: str) -> list[int]:
    """Return all positions in the order in which they are taken until there are `count`.

    Raises:
        DataError: more are asked for than there are.
    """
    if options.count is None:
        return list(range(total))
    if options.count > total:
        raise DataError(f"{name} has {counted(total, 'image')}, but count is {options.count:,}")
    return random_order(total, options.seed).tolist()


def conform(images: UInt8[Tensor, "n c h w"], options: SourceOptions) -> UInt8[Tensor, "n c2 H W"]:
    """Cut, resize (antialiased) and colour decoded images as the options ask."""
    import torchvision.transforms.v2.functional as vision  # takes a second, and few need it

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


def stack(images: Sequence[UInt8[Tensor, "_ _ _"]], name: str) -> UInt8[Tensor, "n c h w"]:
    """Stack pictures of one size; grey ones among coloured ones become RGB.

    Raises:
        DataError: there is none, or they differ in size.
    """
    if not images:
        raise DataError(f"{name}: expected pictures, got none")
    sizes = {tuple(image.shape[1:]) for image in images}
    if len(sizes) > 1:
        some = ", ".join(f"{width}x{height}" for height, width in sorted(sizes)[:3])
        raise DataError(f"{name}: the pictures differ in size ({some}, ...); give a size")
    channels = max(image.shape[0] for image in images)
    return torch.stack([image.expand(channels, -1, -1) for image in images])
