"""A key for one request, by HPKE (RFC 9180): the client sends a public key, and only it can read.

The client makes a key pair for each request. The server draws a fresh envelope key, seals it to
the public key, and answers both: no key is shared beforehand and none serves twice. Everything is
pyca/cryptography's; this file frames its bytes.

HPKE's base mode does not say who answered. A client that must know its server uses TLS, as it has
to for the image that it sends.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)
from jaxtyping import Shaped
from torch import Tensor

from sfumato.cipher import envelope
from sfumato.cipher.header import Suite as EnvelopeSuite
from sfumato.cipher.keys import EnvelopeKey
from sfumato.errors import EnvelopeError, InputError

_INFO = b"sfumato request key v1"
_LENGTH = struct.Struct(">H")  # before the sealed key in an answer
_X25519_BYTES = 32
_MLKEM768_BYTES = 1184

_Private = X25519PrivateKey | MLKEM768X25519PrivateKey
_Public = X25519PublicKey | MLKEM768X25519PublicKey


class Kem(IntEnum):
    """How a request key is encapsulated; the first byte of a public key."""

    X25519 = 1
    MLKEM768_X25519 = 2  # hybrid: stands as long as either of the two does


_SUITES = {
    Kem.X25519: Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM),
    Kem.MLKEM768_X25519: Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM),
}


@dataclass(frozen=True, slots=True)
class RequestKey:
    """The client's key pair for one request: send `public`, then `open` the answer."""

    kem: Kem
    public: bytes
    _private: _Private = field(repr=False)

    @classmethod
    def draw(cls, kem: Kem = Kem.MLKEM768_X25519) -> RequestKey:
        """Draw a key pair; hybrid unless asked otherwise."""
        x25519 = X25519PrivateKey.generate()
        if kem is Kem.X25519:
            return request_key(x25519)
        return request_key(x25519, MLKEM768PrivateKey.generate())

    def open(self, answer: bytes) -> Shaped[Tensor, "..."]:
        """Return the tensor of an answer that was sealed to this key.

        Raises:
            EnvelopeError: for every fault of the answer.
        """
        if len(answer) < _LENGTH.size:
            raise EnvelopeError
        (length,) = _LENGTH.unpack_from(answer)
        sealed_key, content = answer[_LENGTH.size :][:length], answer[_LENGTH.size + length :]
        return envelope.open_envelope(content, [self.unseal_key(sealed_key)])

    def unseal_key(self, sealed_key: bytes) -> EnvelopeKey:
        """Return the envelope key that the server sealed, or raise an EnvelopeError."""
        try:
            material = _SUITES[self.kem].decrypt(sealed_key, self._private, _INFO)
        except (InvalidTag, ValueError) as error:
            raise EnvelopeError from error
        if len(material) != 32:
            raise EnvelopeError
        return EnvelopeKey(material)


def request_key(x25519: X25519PrivateKey, mlkem: MLKEM768PrivateKey | None = None) -> RequestKey:
    """Return the key pair over given private keys; hybrid if there is one for ML-KEM-768."""
    point = x25519.public_key().public_bytes_raw()
    if mlkem is None:
        return RequestKey(Kem.X25519, bytes([Kem.X25519]) + point, x25519)
    public = bytes([Kem.MLKEM768_X25519]) + mlkem.public_key().public_bytes_raw() + point
    return RequestKey(Kem.MLKEM768_X25519, public, MLKEM768X25519PrivateKey(mlkem, x25519))


def seal_answer(
    tensor: Shaped[Tensor, "..."],
    public: bytes,
    *,
    suite: EnvelopeSuite = EnvelopeSuite.AES_256_GCM,
) -> bytes:
    """Return a tensor sealed so that only the holder of the request's private key can open it.

    Layout: 16-bit length (big-endian), sealed key, envelope.

    Raises:
        InputError: the public key is malformed, of low order or of an unknown kind.
    """
    key = EnvelopeKey.draw()
    sealed_key = seal_key(key, public)
    return _LENGTH.pack(len(sealed_key)) + sealed_key + envelope.seal(tensor, key, suite=suite)


def seal_key(key: EnvelopeKey, public: bytes) -> bytes:
    """Return an envelope key, encrypted to a client's public key from anywhere."""
    kem, public_key = _parsed(public)
    try:
        return _SUITES[kem].encrypt(key.material, public_key, _INFO)
    except ValueError as error:  # X25519 gave zeros: a point of low order, a key that all know
        raise InputError("the public key is of low order; draw a new key pair") from error


def check_public(public: bytes) -> None:
    """Raise an InputError unless a key can be sealed to `public`; do so before any costly work."""
    seal_key(EnvelopeKey.draw(), public)


def _parsed(public: bytes) -> tuple[Kem, _Public]:
    kind, raw = public[:1], public[1:]
    try:
        if kind == bytes([Kem.X25519]):
            return Kem.X25519, X25519PublicKey.from_public_bytes(raw)
        if kind == bytes([Kem.MLKEM768_X25519]) and len(raw) == _MLKEM768_BYTES + _X25519_BYTES:
            mlkem = MLKEM768PublicKey.from_public_bytes(raw[:_MLKEM768_BYTES])
            x25519 = X25519PublicKey.from_public_bytes(raw[_MLKEM768_BYTES:])
            return Kem.MLKEM768_X25519, MLKEM768X25519PublicKey(mlkem, x25519)
    except ValueError as error:
        raise InputError(f"expected a public key, got {len(public)} other bytes") from error
    raise InputError(
        "expected a public key of 33 bytes (kind 1, X25519) or 1,217 (kind 2, ML-KEM-768 with "
        f"X25519), got {len(public)} bytes of kind {kind.hex() or 'none'}"
    )
