"""Sources by name, hostile bytes to checked tensors, disjoint splits."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfumato.data.decoding.decode import ImageLimits, decode_image, encode_png
    from sfumato.data.imageset import MISSING, ImageSet
    from sfumato.data.sources import SOURCES, load
    from sfumato.data.splits import shuffled, split_groups, split_images, with_at_least

__all__ = [
    "MISSING",
    "SOURCES",
    "ImageLimits",
    "ImageSet",
    "decode_image",
    "encode_png",
    "load",
    "shuffled",
    "split_groups",
    "split_images",
    "with_at_least",
]
_PLACES = {
    "MISSING": "sfumato.data.imageset",
    "SOURCES": "sfumato.data.sources",
    "ImageLimits": "sfumato.data.decoding.decode",
    "ImageSet": "sfumato.data.imageset",
    "decode_image": "sfumato.data.decoding.decode",
    "encode_png": "sfumato.data.decoding.decode",
    "load": "sfumato.data.sources",
    "shuffled": "sfumato.data.splits",
    "split_groups": "sfumato.data.splits",
    "split_images": "sfumato.data.splits",
    "with_at_least": "sfumato.data.splits",
}


def __getattr__(name: str) -> object:
    # Only when they are asked for: a decision needs the decoder, and no source.
    if name not in _PLACES:
        raise AttributeError(f"module 'sfumato.data' has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)
