"""Images in [0, 1] as the 8-bit pictures that files keep."""

from __future__ import annotations

import hashlib

import torch
from jaxtyping import Float, UInt8
from torch import Tensor


def as_uint8(images: Float[Tensor, "n c h w"]) -> UInt8[Tensor, "n c h w"]:
    """Return images in [0, 1] as 8-bit pictures, as a file keeps them."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


def digests(pictures: UInt8[Tensor, "n c h w"]) -> list[bytes]:
    """Return the digest of each picture: equal pictures have equal ones."""
    return [digest(picture) for picture in pictures]


def digest(picture: UInt8[Tensor, "c h w"]) -> bytes:
    """Return SHA-256 over one picture's size and pixels (channel by channel, row by row)."""
    shape = b"".join(side.to_bytes(4, "little") for side in picture.shape)
    return hashlib.sha256(shape + picture.cpu().contiguous().numpy().tobytes()).digest()
