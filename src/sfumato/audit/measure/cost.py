"""What a release costs its owner to keep."""

from __future__ import annotations

from jaxtyping import Shaped
from torch import Tensor

from sfumato.attack.tools.read import is_picture
from sfumato.data.decoding.decode import encode_png
from sfumato.protect.release.pictures import as_pictures
from sfumato.types import Protector

_SAMPLE = 64  # PNGs that are written to know their mean size


def stored_bytes(release: Shaped[Tensor, "n *shape"], protector: Protector) -> float:
    """Return the bytes of one release as `sfumato release` stores it.

    A picture is an 8-bit PNG; anything else its numbers, with what the protector says it adds
    (`overhead_bytes`, an envelope's header and tag).
    """
    if is_picture(release):
        pictures = as_pictures(release[:_SAMPLE], protector.name)
        return sum(len(encode_png(picture)) for picture in pictures) / len(pictures)
    body = release[0].numel() * release.itemsize
    return float(body + protector.overhead_bytes)
