"""Near copies: PDQ hashes of private pictures, for re-encoded, resized or lightly edited ones.

PDQ (Facebook, 2019) is 256 bits: the signs of a picture's low frequencies. Two pictures whose
hashes differ in few bits are copies of each other. A new picture of the same person is no copy;
the class model is there for it.

A hash reveals more than an autoencoder. With it one can tell for sure whether a given picture was
enrolled, and a blurred picture can be reconstructed from it. So hashes leave a device only if the
person asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Final

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from sfumato.extras import needs

BYTES: Final = 32
MATCH: Final = 31
"""Largest number of differing bits of a copy: the authors' threshold."""
_QUALITY: Final = 50  # the authors': hashes of flatter pictures are mostly noise


def available() -> bool:
    """Return whether pictures can be hashed here."""
    return find_spec("pdqhash") is not None


def pdq(image: UInt8[Tensor, "c h w"]) -> UInt8[Tensor, "32"] | None:
    """Return the hash of a picture, or None where it is too flat for one.

    Raises:
        UnavailableError: pdqhash is not installed.
    """
    needs("copies", "finding near copies", "pdqhash")
    import pdqhash

    pixels = image.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()
    bits, quality = pdqhash.compute(pixels)
    if quality < _QUALITY:
        return None
    return torch.from_numpy(np.packbits(bits.astype(bool)))


def stack(hashes: Iterable[UInt8[Tensor, "32"] | None]) -> UInt8[Tensor, "k 32"] | None:
    """Return the hashes that there are as rows, or None where there is none."""
    rows = [hash_ for hash_ in hashes if hash_ is not None]
    return torch.stack(rows) if rows else None


def distances(a: UInt8[Tensor, "n 32"], b: UInt8[Tensor, "m 32"]) -> Int64[Tensor, "n m"]:
    """Return in how many of the 256 bits hashes differ."""
    x, y = (h.numpy().view(np.uint64).reshape(len(h), BYTES // 8) for h in (a, b))
    return torch.from_numpy(np.bitwise_count(x[:, None] ^ y[None]).sum(-1, dtype=np.int64))
