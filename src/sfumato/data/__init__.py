"""Sources by name, hostile bytes to checked tensors, disjoint splits."""

from __future__ import annotations

import importlib

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
