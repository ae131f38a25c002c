"""Everything that decoding and computing load when they first need it, loaded before.

Afterwards a process can open no file, and so import nothing.
"""

from __future__ import annotations

import encodings.cp437
import encodings.cp1252
import encodings.latin_1
import encodings.utf_16_be
import encodings.utf_16_le
import encodings.utf_32  # noqa: F401
from contextlib import suppress
from importlib import import_module
from io import BytesIO

import torch
from PIL import Image

from sfumato.data.decoding.decode import decode_image
from sfumato.data.decoding.formats import FORMATS
from sfumato.data.decoding.isofile import HEIF_PLUGINS
from sfumato.errors import SfumatoError
from sfumato.features.picture import crop_feature
from sfumato.filter.neardup import available
from sfumato.serve.pictures.extract import Pictures

# Pillow loads what reads a format when it first sees one.
Image.init()
for _plugin in HEIF_PLUGINS:
    with suppress(ImportError):
        import_module(_plugin)


def warm(pictures: Pictures) -> None:
    """Decode a small picture of each format, and compute the features and hashes of one."""
    for content in _samples():
        with suppress(SfumatoError):  # an extra that is not installed
            decode_image(content, limits=pictures.limits)
    colours = torch.arange(3 * 64 * 64).view(3, 64, 64).remainder(251).byte()
    with suppress(SfumatoError):  # no face is found in it
        pictures.all(
            _sample(Image.fromarray(colours.movedim(0, 2).numpy()), "PNG"), hashes=available()
        )
    backbone = pictures.backbone
    grey = torch.full((3, *backbone.preprocess.size), 128, dtype=torch.uint8)
    with suppress(SfumatoError):
        crop_feature(backbone, grey)


def _samples() -> list[bytes]:
    picture = Image.new("RGB", (16, 16), (200, 100, 50))
    found = []
    for name in FORMATS:
        with suppress(OSError, KeyError):  # Pillow reads it and does not write it
            found.append(_sample(picture, "PPM" if name == "PNM" else name))
    return found


def _sample(picture: Image.Image, name: str) -> bytes:
    content = BytesIO()
    picture.save(content, name)
    return content.getvalue()
