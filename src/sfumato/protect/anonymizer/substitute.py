"""The substitution step of the paper `anonymizer`: each picture becomes the nearest real one."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sfumato.errors import DataError

Images = Float[Tensor, "n c h w"]
_AT_ONCE = 512  # rows of distances in memory


def nearest(images: Images, gallery: Float[Tensor, "m c h w"]) -> Int64[Tensor, "n"]:
    """Return which gallery picture is nearest to each image, by Euclidean distance of pixels.

    Raises:
        DataError: the gallery is empty, or its pictures have another shape.
    """
    if not len(gallery) or gallery.shape[1:] != images.shape[1:]:
        raise DataError(
            f"expected a gallery of pictures of shape {tuple(images.shape[1:])}, got "
            f"{len(gallery)} of shape {tuple(gallery.shape[1:])}"
        )
    rows, wall = images.flatten(1), gallery.flatten(1)
    return torch.cat([torch.cdist(part, wall).argmin(1) for part in rows.split(_AT_ONCE)])


def substitute(images: Images, gallery: Float[Tensor, "m c h w"]) -> Images:
    """Return the gallery picture nearest to each image."""
    return gallery[nearest(images, gallery)]
