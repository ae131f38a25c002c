"""A second reading of docs/formats.md, by the standard library where it reaches, for the tests.

Nothing here imports sfumato.cipher. Only the block ciphers, X25519 and ML-KEM are pyca's again.
"""

from __future__ import annotations

import hashlib
import hmac
import json

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

ITEM_BYTES = {1: 8, 2: 4, 3: 2, 4: 2, 16: 1, 17: 2, 18: 4, 19: 8, 32: 1, 33: 2, 34: 4, 35: 8}
_XWING = b"\\.//^\\"


def extract(salt: bytes, secret: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), secret, "sha256")


def expand(pseudorandom: bytes, info: bytes, length: int) -> bytes:
    output = block = b""
    for i in range(1, 256):
        if len(output) >= length:
            break
        block = hmac.digest(pseudorandom, block + info + bytes([i]), "sha256")
        output += block
    return output[:length]


def key_id(key: bytes) -> bytes:
    return expand(extract(b"", key), b"sfumato key id v1", 16)


def permutation(secret: bytes, width: int) -> list[int]:
    stream: list[int] = []
    for block in range(8):
        info = b"sfumato shufflebits v1" + block.to_bytes(4, "big")
        stream += expand(extract(b"", secret), info, 256)
    targets = list(range(width))
    for last in reversed(range(1, width)):
        power = 1
        while power < last + 1:
            power *= 2
        while (draw := stream.pop(0) % power) > last:
            pass
        targets[last], targets[draw] = targets[draw], targets[last]
    return targets


def unshuffled(content: bytes, targets: list[int]) -> bytes:
    size = len(targets) // 8
    output = b""
    for start in range(0, len(content), size):
        word = int.from_bytes(content[start : start + size], "little")
        plain = sum(((word >> target) & 1) << i for i, target in enumerate(targets))
        output += plain.to_bytes(size, "little")
    return output


def open_envelope(envelope: bytes, key: bytes) -> tuple[int, tuple[int, ...], bytes]:
    """Return the type's code, the shape and the plain bytes."""
    assert envelope[:5] == b"SFEV\x01"
    suite, identity, nonce = envelope[5], envelope[6:22], envelope[22:46]
    assert identity == key_id(key)
    code, log2_chunk, rank = envelope[46:49]
    end = 49 + 8 * rank
    shape = tuple(int.from_bytes(envelope[i : i + 8], "big") for i in range(49, end, 8))
    header, body = envelope[:end], envelope[end:]
    secret = expand(extract(nonce, key), b"sfumato envelope v1" + header, 71)
    cipher = (AESGCM if suite in (1, 17) else ChaCha20Poly1305)(secret[:32])
    step = 2**log2_chunk + 16
    pieces = [body[i : i + step] for i in range(0, len(body), step)]
    plain = b""
    for number, piece in enumerate(pieces):
        last = b"\1" if number == len(pieces) - 1 else b"\0"
        plain += cipher.decrypt(secret[64:] + number.to_bytes(4, "big") + last, piece, header)
    if suite >= 17:
        plain = unshuffled(plain, permutation(secret[32:64], 8 * ITEM_BYTES[code]))
    size = ITEM_BYTES[code]
    for length in shape:
        size *= length
    assert len(plain) == size
    return code, shape, plain


def unlock_ring(content: bytes, passphrase: str) -> list[dict[str, str | None]]:
    assert content[:5] == b"SFKR\x01"
    log2_n, r, p = content[5:8]
    secret = hashlib.scrypt(
        passphrase.encode(), salt=content[8:24], n=2**log2_n, r=r, p=p, maxmem=2**28, dklen=32
    )
    return json.loads(AESGCM(secret).decrypt(content[24:36], content[36:], content[:36]))


def unseal_key(sealed: bytes, x25519: bytes, mlkem_seed: bytes | None) -> bytes:
    """HPKE base mode, RFC 9180; with ML-KEM-768, the X-Wing combiner (draft-ietf-hpke-pq)."""
    private = X25519PrivateKey.from_private_bytes(x25519)
    public = private.public_key().public_bytes_raw()
    if mlkem_seed is None:
        encapsulated, ciphertext = sealed[:32], sealed[32:]
        shared = _dh_kem(private, encapsulated, public)
        kem = b"\x00\x20"
    else:
        encapsulated, ciphertext = sealed[:1120], sealed[1120:]
        lattice = MLKEM768PrivateKey.from_seed_bytes(mlkem_seed).decapsulate(encapsulated[:1088])
        point = encapsulated[1088:]
        curve = private.exchange(X25519PublicKey.from_public_bytes(point))
        shared = hashlib.sha3_256(lattice + curve + point + public + _XWING).digest()
        kem = b"\x64\x7a"
    suite = b"HPKE" + kem + b"\x00\x01\x00\x02"
    context = b"\x00" + _labelled_extract(suite, b"", b"psk_id_hash", b"")
    context += _labelled_extract(suite, b"", b"info_hash", b"sfumato request key v1")
    secret = _labelled_extract(suite, shared, b"secret", b"")
    key = _labelled_expand(suite, secret, b"key", context, 32)
    nonce = _labelled_expand(suite, secret, b"base_nonce", context, 12)
    return AESGCM(key).decrypt(nonce, ciphertext, b"")


def _dh_kem(private: X25519PrivateKey, encapsulated: bytes, public: bytes) -> bytes:
    shared = private.exchange(X25519PublicKey.from_public_bytes(encapsulated))
    suite = b"KEM\x00\x20"
    secret = _labelled_extract(suite, b"", b"eae_prk", shared)
    return _labelled_expand(suite, secret, b"shared_secret", encapsulated + public, 32)


def _labelled_extract(suite: bytes, salt: bytes, label: bytes, secret: bytes) -> bytes:
    return extract(salt, b"HPKE-v1" + suite + label + secret)


def _labelled_expand(suite: bytes, secret: bytes, label: bytes, info: bytes, length: int) -> bytes:
    return expand(secret, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, length)
