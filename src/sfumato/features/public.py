"""Public pictures, on which a provider fits a backbone's projection and scaler."""

from __future__ import annotations

from collections.abc import Iterator

from sfumato.data.imageset import ImageSet
from sfumato.data.lazy import FolderImages, LoadedImages, decoded
from sfumato.features.preprocess import Images
from sfumato.progress import track

Public = ImageSet | LoadedImages | FolderImages
"""Pictures of one size, or of a folder and of any."""

_BATCH = 64


def batches(public: Public) -> Iterator[Images]:
    """Yield the pictures in batches of one size; those of a folder one by one."""
    if isinstance(public, FolderImages):
        for some in decoded(public, "public features"):
            yield from (picture.pixels[None] for picture in some.pictures)
    else:
        yield from track(loaded(public).images.split(_BATCH), "public features")


def loaded(public: ImageSet | LoadedImages) -> ImageSet:
    """Return the set in memory."""
    return public.images if isinstance(public, LoadedImages) else public
