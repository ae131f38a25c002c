"""Pictures of 8 bits, and which of them are equal."""

from __future__ import annotations

import hashlib
import struct

import torch

from sfumato.data.pixels import as_uint8, digests


def test_pictures_come_back_as_they_are_and_others_are_rounded() -> None:
    every = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    assert torch.equal(as_uint8(every.float() / 255), every)
    numbers = torch.tensor([-0.5, 0.0, 0.499 / 255, 0.501 / 255, 1.0, 1.5]).reshape(1, 1, 2, 3)
    assert as_uint8(numbers).flatten().tolist() == [0, 0, 0, 1, 255, 255]


def test_equal_pictures_have_equal_digests() -> None:
    drawn = torch.randint(256, (3, 3, 5, 4), generator=torch.Generator().manual_seed(0))
    pictures = torch.cat([drawn, drawn[:1]]).to(torch.uint8)
    pictures[1] = pictures[0]
    pictures[1, 2, 4, 3] ^= 1
    first, other, _, again = digests(pictures)
    assert first == again != other
    shape = struct.pack("<3I", *pictures[0].shape)
    assert first == hashlib.sha256(shape + bytes(pictures[0].flatten().tolist())).digest()
