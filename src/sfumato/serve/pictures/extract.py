"""Computes the features of uploaded pictures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sfumato.data.decoding.decode import (
    ImageLimits,
    OpenedPicture,
    View,
    decode_image,
    open_picture,
)
from sfumato.features.backbone import Backbone
from sfumato.features.picture import all_features_of, feature_of
from sfumato.filter.neardup import BYTES
from sfumato.filter.views import view_hashes
from sfumato.serve.pictures.lanes import SMALL_BYTES, SMALL_PIXELS

NO_HASHES: Final = torch.empty(0, BYTES, dtype=torch.uint8)


@dataclass(frozen=True, slots=True)
class Seen:
    """What an upload's file shows: every frame as viewers show it, and every feature of each."""

    features: Float[Tensor, "n d"]
    """One row a picture; of a backbone that takes faces one a face, which may be none."""
    pictures: tuple[int, ...]
    """Of each row of the features the picture that it is of, a position in `frames`."""
    hashes: tuple[UInt8[Tensor, "_ 32"], ...]
    """Of each picture the hashes of its views for near copies, where they were asked for."""
    frames: tuple[int, ...]
    """Which frame or page of the file each picture is, from 0."""

    def frame(self, picture: int) -> int | None:
        """Return the number of a picture's frame, from 1; None where the file has one alone."""
        return self.frames[picture] + 1 if self.frames[-1] else None


def see(backbone: Backbone, views: Iterable[View], *, hashes: bool) -> Seen:
    """Return what all that a file shows is to the filter, one picture at a time.

    Raises:
        ImageError: the file is malformed, or has too many frames or faces.
    """
    features, found, frames = [], [], []
    for view in views:
        features.append(all_features_of(backbone, view.picture))
        found.append(view_hashes(view.picture) if hashes else NO_HASHES)
        frames.append(view.frame)
    pictures = tuple(i for i, rows in enumerate(features) for _ in rows)
    return Seen(torch.cat(features), pictures, tuple(found), tuple(frames))


def see_one(backbone: Backbone, picture: UInt8[Tensor, "c h w"]) -> Seen:
    """Return the one feature of a picture.

    Raises:
        ImageError: it shows no face, or several, and the backbone takes faces.
    """
    return Seen(feature_of(backbone, picture), (0,), (NO_HASHES,), (0,))


Found: TypeAlias = Seen | BaseException | None
"""What became of a file: what it shows, why that is not known, or None where it shows a large
picture."""


class Pictures:
    """Decodes pictures within limits and computes their features by a backbone. Thread-safe.

    With `one`, a file must be a still picture of one feature, as who asks for features needs it.
    """

    def __init__(self, backbone: Backbone, limits: ImageLimits, *, one: bool = False) -> None:
        self.backbone, self.limits, self.one = backbone, limits, one
        self.see = partial(see, backbone)

    def small(self, content: bytes, *, hashes: bool) -> Seen | None:
        """Return what a file's small picture is to the filter, None where it shows a large one.

        Raises:
            ImageError: the bytes are no picture, or a too large one; as `see`.
        """
        if len(content) > SMALL_BYTES:
            return None
        opened = open_picture(content, limits=self.limits)
        if opened.pixels > SMALL_PIXELS or opened.source.several:
            return None
        return self._seen(content, opened, hashes=hashes)

    def all(self, content: bytes, *, hashes: bool) -> Seen:
        """Return what the pictures in a file's bytes are to the filter, however large.

        Raises:
            ImageError: the bytes are no picture, or a too large one; as `see`.
        """
        return self._seen(content, open_picture(content, limits=self.limits), hashes=hashes)

    def _seen(self, content: bytes, opened: OpenedPicture, *, hashes: bool) -> Seen:
        if self.one:
            return see_one(self.backbone, decode_image(content, limits=self.limits))
        return self.see(opened.views(), hashes=hashes)
