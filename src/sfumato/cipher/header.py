"""The header of an envelope: what is sealed, how, and under which key. All of it is public.

Layout (big-endian), formats.md: magic `SFEV`, version, suite, key id (16), nonce (24), dtype,
log2 of the chunk's bytes, rank, then one 64-bit length a dimension.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import torch

from sfumato.cipher.keys import KEY_ID_BYTES
from sfumato.errors import EnvelopeError

TAG_BYTES = 16
NONCE_BYTES = 24

_MAGIC = b"SFEV"
_VERSION = 1
_FIXED = struct.Struct(f">4sBB{KEY_ID_BYTES}s{NONCE_BYTES}sBBB")
_MAX_RANK = 16
_MAX_CHUNKS = 1 << 32  # the counter in a chunk's nonce has 32 bits
_LOG2_CHUNKS = range(4, 31)

DTYPES: dict[int, torch.dtype] = {
    1: torch.float64,
    2: torch.float32,
    3: torch.float16,
    4: torch.bfloat16,
    16: torch.int8,
    17: torch.int16,
    18: torch.int32,
    19: torch.int64,
    32: torch.uint8,
    33: torch.uint16,
    34: torch.uint32,
    35: torch.uint64,
}
"""Element types by their code in the header."""


class Suite(IntEnum):
    """Authenticated cipher, and whether ShuffleBits is applied inside it."""

    AES_256_GCM = 1
    CHACHA20_POLY1305 = 2
    AES_256_GCM_SHUFFLEBITS = 17
    CHACHA20_POLY1305_SHUFFLEBITS = 18

    @property
    def shuffled(self) -> bool:
        """Whether the bits of each element are shuffled before they are encrypted."""
        return self >= Suite.AES_256_GCM_SHUFFLEBITS


@dataclass(frozen=True, slots=True)
class Header:
    """A parsed header; making one checks that it describes a tensor that can be sealed.

    Raises:
        EnvelopeError: a field is out of its range.
    """

    suite: Suite
    key_id: bytes
    nonce: bytes
    dtype: torch.dtype
    shape: tuple[int, ...]
    log2_chunk: int

    def __post_init__(self) -> None:
        if (
            len(self.key_id) != KEY_ID_BYTES
            or len(self.nonce) != NONCE_BYTES
            or self.dtype not in DTYPES.values()
            or len(self.shape) > _MAX_RANK
            or self.log2_chunk not in _LOG2_CHUNKS
            or max((*self.shape, self.plain_bytes)) >= 1 << 63
            or self.chunks > _MAX_CHUNKS
        ):
            raise EnvelopeError

    @property
    def plain_bytes(self) -> int:
        """Bytes of the tensor."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def chunks(self) -> int:
        """Number of sealed chunks; an empty tensor has one, which proves that it is empty."""
        return max(1, -(-self.plain_bytes >> self.log2_chunk))

    @property
    def body_bytes(self) -> int:
        """Bytes after the header."""
        return self.plain_bytes + self.chunks * TAG_BYTES

    def pack(self) -> bytes:
        """Return the header's bytes."""
        code = next(code for code, dtype in DTYPES.items() if dtype == self.dtype)
        fixed = (_MAGIC, _VERSION, self.suite, self.key_id, self.nonce, code, self.log2_chunk)
        return _FIXED.pack(*fixed, len(self.shape)) + struct.pack(
            f">{len(self.shape)}Q", *self.shape
        )


def read_header(read: Callable[[int], bytes]) -> Header:
    """Take a header from a reader of bytes that come from anywhere.

    Raises:
        EnvelopeError: they are no header of this version.
    """
    try:
        fixed = _FIXED.unpack(read(_FIXED.size))
        magic, version, suite, key_id, nonce, code, log2_chunk, rank = fixed
        if magic != _MAGIC or version != _VERSION or rank > _MAX_RANK:
            raise EnvelopeError
        shape = struct.unpack(f">{rank}Q", read(8 * rank))
        return Header(Suite(suite), key_id, nonce, DTYPES[code], shape, log2_chunk)
    except (struct.error, ValueError, KeyError) as error:
        raise EnvelopeError from error
