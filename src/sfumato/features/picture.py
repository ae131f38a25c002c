"""The one way from a picture to its feature: whole, at its own size, through the backbone.

The service, the feature commands, enrolling and `FilterClient` all compute features here, one
picture at a time, so that their rows are equal to the bit. What a network wants of its input
(size, cut, colours) is the backbone's own `Preprocess`. `features.cache.extract` is for image sets
of one size, in batches, whose rows differ in their last digits.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sfumato.data.lazy import FolderImages, LoadedImages, decoded
from sfumato.data.leftout import LeftOut, named
from sfumato.device import device_of
from sfumato.errors import DataError
from sfumato.features.backbone import Backbone
from sfumato.progress import track


def feature_of(backbone: Backbone, picture: UInt8[Tensor, "c h w"]) -> Float[Tensor, "1 d"]:
    """Return one picture's feature in [0, 1], as float32 on the CPU.

    Raises:
        ConfigError: the backbone's scaler was never fitted.
        DataError: the picture is neither grey nor RGB, or the feature is not finite.
    """
    with torch.inference_mode():
        found: Tensor = backbone(picture[None].to(device_of(backbone)))
    return found.cpu().clone()  # a tensor of inference mode could not be trained on


def features_of(
    backbone: Backbone, pictures: Iterable[UInt8[Tensor, "_ _ _"]]
) -> Float[Tensor, "n d"]:
    """Return the features of pictures of any sizes, in order.

    Raises:
        ConfigError: the backbone's scaler was never fitted.
        DataError: there is no picture, one is neither grey nor RGB, or a feature is not finite.
    """
    rows = [feature_of(backbone, picture) for picture in pictures]
    if not rows:
        raise DataError("expected at least one picture, got none")
    return torch.cat(rows)


def features_in(
    backbone: Backbone, images: LoadedImages | FolderImages
) -> tuple[Float[Tensor, "n d"], tuple[LeftOut, ...]]:
    """Return the features of a set's pictures in order, and the files that hold none.

    Raises:
        ConfigError: the backbone's scaler was never fitted.
        DataError: no picture is usable, or a feature is not finite.
    """
    left_out = list(images.left_out)
    rows = []
    for some in track(decoded(images), f"features of {images.name}"):
        rows += [feature_of(backbone, picture.pixels) for picture in some.pictures]
        left_out += some.left_out
    if not rows:
        raise DataError(f"{images.name}: expected a usable picture, got none: {named(left_out)}")
    return torch.cat(rows), tuple(left_out)
