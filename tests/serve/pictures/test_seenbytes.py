"""What was seen comes back as it was sent, and what is no answer is refused."""

from __future__ import annotations

import os
import struct
from contextlib import suppress

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import DataError, ImageError, ServiceError
from sfumato.filter.neardup import BYTES
from sfumato.serve.pictures.extract import Seen
from sfumato.serve.pictures.seenbytes import (
    NUMBER_BYTES,
    answer_to,
    pack_answer,
    pack_question,
    unpack_answer,
    unpack_question,
)

DIM = 5


def seen(faces: list[int], hashes: list[int], seed: int = 0) -> Seen:
    """What a file shows: of each picture so many faces, and so many hashes."""
    draw = torch.Generator().manual_seed(seed)
    return Seen(
        torch.rand(sum(faces), DIM, generator=draw),
        tuple(at for at, count in enumerate(faces) for _ in range(count)),
        tuple(
            torch.randint(0, 256, (count, BYTES), generator=draw, dtype=torch.uint8)
            for count in hashes
        ),
        tuple(3 * at for at in range(len(faces))),
    )


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=6))
def test_what_was_seen_comes_back_to_the_bit(pictures: list[tuple[int, int]]) -> None:
    sent = seen([faces for faces, _ in pictures], [hashes for _, hashes in pictures])
    got = unpack_answer(pack_answer(sent), dim=DIM)
    assert isinstance(got, Seen)
    assert torch.equal(got.features, sent.features)
    assert got.features.dtype == torch.float32
    assert (got.pictures, got.frames) == (sent.pictures, sent.frames)
    assert len(got.hashes) == len(sent.hashes)
    assert all(torch.equal(a, b) for a, b in zip(got.hashes, sent.hashes, strict=True))


@given(st.binary(), st.booleans(), st.booleans())
def test_a_question_comes_back(content: bytes, large: bool, hashes: bool) -> None:
    number = os.urandom(NUMBER_BYTES)
    question = pack_question(number, content, large=large, hashes=hashes)
    assert unpack_question(question) == (number, content, large, hashes)


def test_an_answer_to_another_question_is_none() -> None:
    own, other = bytes(NUMBER_BYTES), bytes(range(NUMBER_BYTES))
    assert answer_to(own, own + b"an answer") == b"an answer"
    for message in (other + b"an answer", b"", own[:-1]):
        with pytest.raises(ServiceError, match="not asked about"):
            answer_to(own, message)


def test_errors_keep_their_kind_and_their_words() -> None:
    for error in (ImageError("no picture"), DataError("not finite")):
        got = unpack_answer(pack_answer(error), dim=DIM)
        assert (type(got), str(got)) == (type(error), str(error))
    got = unpack_answer(pack_answer(KeyError("a fault of ours")), dim=DIM)
    assert isinstance(got, RuntimeError)
    assert "a fault of ours" in str(got)
    assert unpack_answer(pack_answer(None), dim=DIM) is None


SOUND = pack_answer(seen([1, 2], [0, 2]))
HOSTILE = {
    "nothing": b"",
    "an unknown kind": b"\x77" + SOUND[1:],
    "a large picture with more": b"\x01more",
    "an unknown error without a word": b"\xff",
    "its first number alone": SOUND[:4],
    "cut short": SOUND[:-1],
    "one byte too many": SOUND + b"\0",
    "another width": struct.pack("<BIII", 0, 3, DIM + 1, 2) + SOUND[13:],
    "no picture": struct.pack("<BIII", 0, 0, DIM, 0),
    "more pictures than a file may have": struct.pack("<BIII", 0, 0, DIM, 401) + bytes(401 * 8),
    "more rows than bytes": struct.pack("<BIII", 0, 2**32 - 1, DIM, 2) + SOUND[13:],
    "more pictures than bytes": struct.pack("<BIII", 0, 3, DIM, 2**32 - 1) + SOUND[13:],
    "a feature that is not finite": SOUND[:13] + struct.pack("<f", float("nan")) + SOUND[17:],
    "a row of no picture": SOUND[: 13 + 60] + struct.pack("<I", 2) + SOUND[13 + 64 :],
    "more hashes than there are": SOUND[: 13 + 60 + 24] + struct.pack("<I", 3) + SOUND[13 + 88 :],
}


@pytest.mark.parametrize("message", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_no_answer_is_refused(message: bytes) -> None:
    with pytest.raises(ServiceError):
        unpack_answer(message, dim=DIM)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_refused(message: bytes) -> None:
    with suppress(ServiceError):
        found = unpack_answer(message, dim=DIM)
        assert found is None or isinstance(found, Exception)  # so few bytes are no picture
