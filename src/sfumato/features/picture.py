"""The one way from a picture to its features: whole, at its own size, through the backbone.

The service, the feature commands, enrolling and `FilterClient` all compute features here, one
picture at a time, so that their rows are equal to the bit. What a network wants of its input
(size, cut, colours) is the backbone's own `Preprocess`. `features.cache.extract` is for image sets
of one size, in batches, whose rows differ in their last digits.

A picture has one feature, or with the backbone `face` one a face. Where one is needed (to enroll,
to extract, to answer a request), a picture has to show exactly one face. An upload is judged by
every feature that it has: any may block it, as any frame of an animation may.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sfumato.data.lazy import FolderImages, LoadedImages, decoded
from sfumato.data.leftout import LeftOut, as_text, named
from sfumato.device import device_of
from sfumato.errors import DataError, ImageError
from sfumato.features.backbone import Backbone
from sfumato.features.tables.known import Row, check_names, columns_of
from sfumato.features.tables.table import FeatureTable


def all_features_of(backbone: Backbone, picture: UInt8[Tensor, "c h w"]) -> Float[Tensor, "k d"]:
    """Return every feature of one picture in [0, 1], as float32 on the CPU; there may be none.

    Raises:
        ConfigError: the backbone's scaler was never fitted.
        DataError: the picture is neither grey nor RGB, or a feature is not finite.
        ImageError: it has more faces than are looked at.
    """
    with torch.inference_mode():
        found = backbone.features(picture)
    return found.cpu().clone()  # a tensor of inference mode could not be trained on


def only_crop(backbone: Backbone, picture: UInt8[Tensor, "c h w"]) -> UInt8[Tensor, "_ _ _"]:
    """Return what of a picture has its one feature: all of it, or its only face.

    Raises:
        ImageError: the picture shows no face, or several, and the backbone takes faces.
    """
    found = backbone.crops(picture)
    if len(found) != 1:
        raise ImageError(
            f"{len(found)} faces found: crop it to one" if len(found) else "no face found"
        )
    return found[0]


def crop_feature(backbone: Backbone, crop: UInt8[Tensor, "_ _ _"]) -> Float[Tensor, "1 d"]:
    """Return the feature of what `only_crop` returned, as float32 on the CPU.

    Raises:
        ConfigError, DataError: as `all_features_of`.
    """
    with torch.inference_mode():
        found: Tensor = backbone(crop[None].to(device_of(backbone)))
    return found.cpu().clone()


def feature_of(backbone: Backbone, picture: UInt8[Tensor, "c h w"]) -> Float[Tensor, "1 d"]:
    """Return the feature of a picture that has one, as `all_features_of` does.

    Raises:
        ConfigError, DataError: as `all_features_of`.
        ImageError: the picture shows no face, or several, and the backbone takes faces.
    """
    return crop_feature(backbone, only_crop(backbone, picture))


def features_of(
    backbone: Backbone, pictures: Iterable[UInt8[Tensor, "_ _ _"]]
) -> Float[Tensor, "n d"]:
    """Return the features of pictures of any sizes, one each, in order.

    Raises:
        ConfigError: the backbone's scaler was never fitted.
        DataError: there is no picture, one has no feature or several (all such are named), one is
            neither grey nor RGB, or a feature is not finite.
    """
    rows, without = [], []
    for position, picture in enumerate(pictures):
        try:
            rows.append(feature_of(backbone, picture))
        except ImageError as error:
            without.append(LeftOut(f"picture {position}", str(error)))
    if without:
        raise DataError(f"expected pictures of one face each; leave these out: {named(without)}")
    if not rows:
        raise DataError("expected at least one picture, got none")
    return torch.cat(rows)


class Extracted(NamedTuple):
    """Features of a set's pictures, what each row is of, and the files that have none."""

    features: Float[Tensor, "n d"]
    rows: tuple[Row, ...]
    left_out: tuple[LeftOut, ...]


def extracted(
    backbone: Backbone,
    images: LoadedImages | FolderImages,
    positions: Sequence[int] | None = None,
) -> Extracted:
    """Return the features of a set's pictures, of all in order or of those at these positions.

    Files without a picture, and pictures without a feature or with several, are left out by name.

    Raises:
        ConfigError: the backbone's scaler was never fitted.
        DataError: no picture is usable, or a feature is not finite.
    """
    left_out = list(images.left_out)
    features, rows = [], []
    for some in decoded(images, f"features of {images.name}", positions):
        left_out += some.left_out
        for picture in some.pictures:
            file = _file(images, picture.position)
            try:
                features.append(feature_of(backbone, picture.pixels))
            except ImageError as error:
                left_out.append(LeftOut(file or f"picture {picture.position}", str(error)))
            else:
                rows.append(Row(picture.position, file, picture.labels))
    if not rows:
        raise DataError(f"{images.name}: expected a usable picture, got none: {named(left_out)}")
    return Extracted(torch.cat(features), tuple(rows), tuple(left_out))


def features_in(
    backbone: Backbone, images: LoadedImages | FolderImages
) -> tuple[FeatureTable, tuple[LeftOut, ...]]:
    """Return the features of a set's pictures in order, and the files that have none, or several.

    The table has a column of file names (`position`, where there are none), and one a label; its
    metadata are the backbone's fingerprint and the set's name.

    Raises:
        ConfigError: the backbone's scaler was never fitted.
        DataError: no picture is usable, a feature is not finite, or a label has a column's name.
    """
    check_names(images.classes)
    found = extracted(backbone, images)
    about = _about(backbone, images)
    columns = columns_of(found.rows, images.classes)
    return FeatureTable(vectors=found.features, columns=columns, metadata=about), found.left_out


def known_of(backbone: Backbone, images: LoadedImages | FolderImages) -> FeatureTable:
    """Return what `features_in` will say of the pictures besides their features, which lack here.

    Raises:
        DataError: a label has a column's name.
    """
    check_names(images.classes)
    labels = {name: images.label(name).tolist() for name in images.classes}
    rows = [
        Row(i, _file(images, i), {name: values[i] for name, values in labels.items()})
        for i in range(len(images))
    ]
    columns = columns_of(rows, images.classes)
    vectors = torch.empty(len(rows), 0)
    return FeatureTable(vectors=vectors, columns=columns, metadata=_about(backbone, images))


def _about(backbone: Backbone, images: LoadedImages | FolderImages) -> dict[str, str]:
    return {"backbone": backbone.fingerprint, "images": as_text(images.name)}


def _file(images: LoadedImages | FolderImages, position: int) -> str | None:
    files = images.order if isinstance(images, FolderImages) else images.images.files
    return files[position] if files else None
