"""A header comes back as it was packed, and describes only what can be sealed."""

from __future__ import annotations

import io
import math
import struct
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.cipher.header import DTYPES, NONCE_BYTES, TAG_BYTES, Header, Suite, read_header
from sfumato.errors import EnvelopeError

SOUND = Header(Suite.AES_256_GCM, bytes(range(16)), bytes(range(24)), torch.float32, (3, 5), 4)
FIXED_BYTES = 49


FEW = st.lists(st.integers(0, 9), max_size=16).filter(lambda shape: math.prod(shape) < 1 << 32)
LONG = st.lists(st.integers(0, 1 << 31), min_size=1, max_size=1)
FIELDS = st.fixed_dictionaries(
    {
        "suite": st.sampled_from(list(Suite)),
        "key_id": st.binary(min_size=16, max_size=16),
        "nonce": st.binary(min_size=NONCE_BYTES, max_size=NONCE_BYTES),
        "dtype": st.sampled_from(list(DTYPES.values())),
        "shape": (FEW | LONG).map(tuple),
        "log2_chunk": st.integers(4, 30),
    }
)
"""Of any header that describes a tensor which is small enough to be sealed."""


@given(FIELDS)
def test_a_header_comes_back_and_takes_its_own_bytes_only(fields: dict[str, Any]) -> None:
    header = Header(**fields)
    stream = io.BytesIO(header.pack() + b"what follows")
    assert read_header(stream.read) == header
    assert stream.read() == b"what follows"
    assert len(header.pack()) == FIXED_BYTES + 8 * len(header.shape)


@given(FIELDS)
def test_the_chunks_hold_the_tensor_and_each_has_a_tag(fields: dict[str, Any]) -> None:
    header = Header(**fields)
    size = 1 << header.log2_chunk
    assert header.plain_bytes == math.prod(header.shape) * header.dtype.itemsize
    assert (header.chunks - 1) * size < max(header.plain_bytes, 1) <= header.chunks * size
    assert header.body_bytes == header.plain_bytes + TAG_BYTES * header.chunks


def test_the_layout_is_the_one_in_the_documentation() -> None:
    fixed = b"SFEV" + bytes([1, 1, *range(16), *range(24), 2, 4, 2])
    assert SOUND.pack() == fixed + struct.pack(">2Q", 3, 5)


def test_the_codes_of_types_and_suites_are_those_in_the_documentation() -> None:
    assert {code: str(dtype).removeprefix("torch.") for code, dtype in DTYPES.items()} == {
        1: "float64", 2: "float32", 3: "float16", 4: "bfloat16",
        16: "int8", 17: "int16", 18: "int32", 19: "int64",
        32: "uint8", 33: "uint16", 34: "uint32", 35: "uint64",
    }  # fmt: skip
    assert [suite.value for suite in Suite] == [1, 2, 17, 18]


def test_only_the_shuffling_suites_shuffle() -> None:
    assert {suite.name: suite.shuffled for suite in Suite} == {
        "AES_256_GCM": False,
        "CHACHA20_POLY1305": False,
        "AES_256_GCM_SHUFFLEBITS": True,
        "CHACHA20_POLY1305_SHUFFLEBITS": True,
    }


BYTES = torch.uint8
AT_THE_LIMIT = {
    "rank": {"shape": (1,) * 16},
    "smallest chunk": {"log2_chunk": 4},
    "largest chunk": {"log2_chunk": 30},
    "chunks that the counter can name": {"dtype": BYTES, "shape": (1 << 36,)},
    "chunks of the largest size": {"dtype": BYTES, "shape": (1 << 62,), "log2_chunk": 30},
}
PAST_THE_LIMIT = {
    "rank": {"shape": (1,) * 17},
    "smallest chunk": {"log2_chunk": 3},
    "largest chunk": {"log2_chunk": 31},
    "chunks that the counter can name": {"dtype": BYTES, "shape": ((1 << 36) + 1,)},
    "chunks of the largest size": {"dtype": BYTES, "shape": ((1 << 62) + 1,), "log2_chunk": 30},
    "a length that no tensor has": {"shape": (0, 1 << 63)},
    "bytes that no tensor has": {"shape": (1 << 62, 1 << 62)},
    "short key id": {"key_id": bytes(15)},
    "long key id": {"key_id": bytes(17)},
    "short nonce": {"nonce": bytes(23)},
    "long nonce": {"nonce": bytes(25)},
    "type without a code": {"dtype": torch.bool},
}


@pytest.mark.parametrize("changes", AT_THE_LIMIT.values(), ids=AT_THE_LIMIT)
def test_what_is_just_possible_is_described(changes: dict[str, object]) -> None:
    header = replace(SOUND, **changes)
    assert read_header(io.BytesIO(header.pack()).read) == header


@pytest.mark.parametrize("changes", PAST_THE_LIMIT.values(), ids=PAST_THE_LIMIT)
def test_what_cannot_be_sealed_is_not_described(changes: dict[str, object]) -> None:
    with pytest.raises(EnvelopeError):
        replace(SOUND, **changes)


def foreign(at: int, value: int) -> bytes:
    content = bytearray(SOUND.pack())
    content[at] = value
    return bytes(content)


HOSTILE = {
    "other magic": foreign(0, ord("X")),
    "older version": foreign(4, 0),
    "newer version": foreign(4, 2),
    "unknown suite": foreign(5, 3),
    "unknown type": foreign(46, 5),
    "chunks of no size": foreign(47, 0),
    "endless chunks": foreign(47, 255),
    "more dimensions than bytes": foreign(48, 3),
    "more dimensions than allowed": foreign(48, 17) + bytes(8 * 15),
    "endless dimensions": foreign(48, 255) + bytes(8 * 253),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_headers_are_refused(content: bytes) -> None:
    with pytest.raises(EnvelopeError):
        read_header(io.BytesIO(content).read)


@pytest.mark.parametrize("size", range(len(SOUND.pack())))
def test_a_header_cut_short_is_refused(size: int) -> None:
    with pytest.raises(EnvelopeError):
        read_header(io.BytesIO(SOUND.pack()[:size]).read)


def test_no_dimensions_are_asked_for_where_there_are_too_many() -> None:
    asked: list[int] = []
    stream = io.BytesIO(HOSTILE["endless dimensions"])

    def read(size: int) -> bytes:
        asked.append(size)
        return stream.read(size)

    with pytest.raises(EnvelopeError):
        read_header(read)
    assert asked == [FIXED_BYTES]
