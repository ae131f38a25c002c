"""An answer opens for the client who asked, and hostile public keys are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

import tests.cipher.independent as independent
from sfumato.cipher.header import Suite
from sfumato.cipher.keys import EnvelopeKey
from sfumato.cipher.request import Kem, RequestKey, check_public, request_key, seal_answer, seal_key
from sfumato.errors import EnvelopeError, InputError

VECTORS = json.loads((Path(__file__).parent / "vectors/request.json").read_text())

# All seven encodings of X25519's points of low order (RFC 7748, section 6.1; Bernstein's list).
LOW_ORDER = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    *((2**255 - 19 + i).to_bytes(32, "little") for i in (-1, 0, 1)),
]


@pytest.mark.parametrize("kem", Kem)
@pytest.mark.parametrize("suite", [Suite.AES_256_GCM, Suite.CHACHA20_POLY1305_SHUFFLEBITS])
def test_only_the_client_who_asked_opens_the_answer(kem: Kem, suite: Suite) -> None:
    client, other = RequestKey.draw(kem), RequestKey.draw(kem)
    features = torch.rand(1, 64)
    answer = seal_answer(features, client.public, suite=suite)
    assert torch.equal(client.open(answer), features)
    for stranger in (other, RequestKey.draw(Kem.X25519)):
        with pytest.raises(EnvelopeError):
            stranger.open(answer)
    assert answer != seal_answer(features, client.public, suite=suite)


@pytest.mark.parametrize(
    ("drawn", "kem", "size"),
    [
        (RequestKey.draw(), Kem.MLKEM768_X25519, 1217),
        (RequestKey.draw(Kem.MLKEM768_X25519), Kem.MLKEM768_X25519, 1217),
        (RequestKey.draw(Kem.X25519), Kem.X25519, 33),
    ],
    ids=["unless asked otherwise", "hybrid", "X25519 alone"],
)
def test_a_request_key_is_of_the_kind_asked_for(drawn: RequestKey, kem: Kem, size: int) -> None:
    assert (drawn.kem, drawn.public[0], len(drawn.public)) == (kem, kem, size)
    assert drawn.public != RequestKey.draw(kem).public


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_frozen_request_keys_open_as_ever(vector: dict[str, Any]) -> None:
    x25519 = bytes.fromhex(vector["x25519"])
    seed = vector["mlkem_seed"] and bytes.fromhex(vector["mlkem_seed"])
    mlkem = MLKEM768PrivateKey.from_seed_bytes(seed) if seed else None
    client = request_key(X25519PrivateKey.from_private_bytes(x25519), mlkem)
    assert client.public.hex() == vector["public"]
    sealed = bytes.fromhex(vector["sealed_key"])
    assert client.unseal_key(sealed).material.hex() == vector["key"]
    assert independent.unseal_key(sealed, x25519, seed).hex() == vector["key"]


@pytest.mark.parametrize("kem", Kem)
def test_a_second_reading_of_the_rfc_agrees(kem: Kem) -> None:
    seed = bytes(range(64)) if kem is Kem.MLKEM768_X25519 else None
    private = X25519PrivateKey.generate()
    mlkem = MLKEM768PrivateKey.from_seed_bytes(seed) if seed else None
    key = EnvelopeKey.draw()
    sealed = seal_key(key, request_key(private, mlkem).public)
    assert independent.unseal_key(sealed, private.private_bytes_raw(), seed) == key.material


@pytest.mark.parametrize("point", LOW_ORDER, ids=lambda p: p.hex()[:8])
@pytest.mark.parametrize("kem", Kem)
def test_a_public_key_of_low_order_is_refused(kem: Kem, point: bytes) -> None:
    public = RequestKey.draw(kem).public[:-32] + point
    with pytest.raises(InputError, match="low order"):
        check_public(public)


@pytest.mark.parametrize(
    "public", [b"", b"\x01", b"\x01" * 32, b"\x01" * 34, b"\x02" * 1216, b"\x03" * 33, b"\x00" * 33]
)
def test_what_is_no_public_key_is_refused(public: bytes) -> None:
    with pytest.raises(InputError, match="expected a public key"):
        seal_answer(torch.zeros(2), public)


def test_a_lattice_key_out_of_range_is_refused() -> None:
    with pytest.raises(InputError, match="expected a public key"):
        check_public(b"\x02" + b"\xff" * 1184 + RequestKey.draw(Kem.X25519).public[1:])


CLIENT = RequestKey.draw(Kem.X25519)
ANSWER = seal_answer(torch.arange(4.0), CLIENT.public)


@given(st.integers(0, 8 * len(ANSWER) - 1))
@settings(deadline=None)
def test_every_bit_of_an_answer_is_authenticated(bit: int) -> None:
    answer = bytearray(ANSWER)
    answer[bit // 8] ^= 1 << bit % 8
    with pytest.raises(EnvelopeError):
        CLIENT.open(bytes(answer))


@given(st.binary(max_size=200), st.integers(0, len(ANSWER) - 1))
@settings(deadline=None)
def test_foreign_answers_are_refused(content: bytes, cut: int) -> None:
    for answer in (content, ANSWER[:cut], ANSWER[:cut] + content):
        if answer != ANSWER:
            with pytest.raises(EnvelopeError):
                CLIENT.open(answer)


def test_a_request_key_does_not_print_its_private_half() -> None:
    assert "private" not in repr(CLIENT).lower()
