"""Writes the frozen vectors beside it: `python tests/cipher/vectors/make.py`.

The envelopes and the key ring come out the same each time; HPKE draws its own randomness, so that
`request.json` changes. Formats are frozen: run this for a new version only, into new files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from sfumato.cipher.envelope import seal_chunks
from sfumato.cipher.header import Suite
from sfumato.cipher.keyfile import lock_ring
from sfumato.cipher.keys import EnvelopeKey, KeyRing
from sfumato.cipher.permutation import derive_key, swap_masks
from sfumato.cipher.request import request_key, seal_key

HERE = Path(__file__).parent
KEY = bytes(range(32))
NONCE = bytes(range(100, 124))
HEADER_BYTES = 49 + 8  # of rank 1


def tensors() -> dict[str, torch.Tensor]:
    special = torch.tensor([0x7FC00001, 0xFF800000 - 2**32, 1, -(2**31), 0x3F800000, 0x7F800001])
    floats = special.to(torch.int32).view(torch.float32)
    return {
        "float32": floats,
        "float64": torch.tensor([[1.5, -0.0, float("inf")]], dtype=torch.float64),
        "float16": torch.tensor([1.0, -2.0, 6e-8], dtype=torch.float16),
        "bfloat16": torch.arange(20, dtype=torch.bfloat16).reshape(2, 5, 2),
        "uint8": torch.arange(33, dtype=torch.uint8),
        "int64": torch.tensor(-5),
        "empty": torch.empty(0, 128),
    }


def sealed(tensor: torch.Tensor, suite: Suite, nonce: bytes = NONCE) -> bytes:
    parts = seal_chunks(tensor, EnvelopeKey(KEY), suite=suite, nonce=nonce, log2_chunk=4)
    return b"".join(parts)


def valid_envelopes() -> list[dict[str, Any]]:
    return [
        {
            "name": f"{name} {suite.name}",
            "key": KEY.hex(),
            "dtype": str(tensor.dtype).removeprefix("torch."),
            "shape": list(tensor.shape),
            "plain": tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes().hex(),
            "envelope": sealed(tensor, suite).hex(),
        }
        for name, tensor in tensors().items()
        for suite in Suite
    ]


def changed(content: bytes, at: int, to: bytes) -> bytes:
    return content[:at] + to + content[at + len(to) :]


def invalid_envelopes() -> list[dict[str, str]]:
    good = sealed(tensors()["float32"], Suite.AES_256_GCM)  # chunks of 16 and 8 bytes
    header, first, last = good[:HEADER_BYTES], good[HEADER_BYTES:][:32], good[HEADER_BYTES + 32 :]
    other = sealed(tensors()["float32"], Suite.AES_256_GCM, NONCE[::-1])
    cases = {
        "empty": b"",
        "magic alone": good[:4],
        "header alone": header,
        "another magic": changed(good, 0, b"SFEW"),
        "a future version": changed(good, 4, b"\x02"),
        "an unknown suite": changed(good, 5, b"\x03"),
        "another suite": changed(good, 5, bytes([Suite.CHACHA20_POLY1305])),
        "shufflebits claimed": changed(good, 5, bytes([Suite.AES_256_GCM_SHUFFLEBITS])),
        "an unknown key id": changed(good, 6, bytes(16)),
        "another nonce": changed(good, 22, bytes(24)),
        "an unknown type": changed(good, 46, b"\x63"),
        "another type of the same width": changed(good, 46, b"\x12"),
        "a chunk size of nothing": changed(good, 47, b"\x00"),
        "a huge chunk size": changed(good, 47, b"\xff"),
        "a rank too high": changed(good, 48, b"\xff"),
        "a shape past all memory": changed(good, 49, b"\xff" * 8),
        "another shape": changed(good, 49, (5).to_bytes(8, "big")),
        "the last chunk dropped": header + first,
        "the first chunk dropped": header + last,
        "chunks exchanged": header + last + first,
        "a chunk repeated": header + first + first + last,
        "the end cut": good[:-1],
        "a byte appended": good + b"\x00",
        "a bit of the ciphertext": changed(good, HEADER_BYTES, bytes([good[HEADER_BYTES] ^ 1])),
        "a bit of the tag": changed(good, len(good) - 1, bytes([good[-1] ^ 0x80])),
        "a chunk of another envelope": header + other[HEADER_BYTES:][:32] + last,
    }
    return [
        {"name": name, "key": KEY.hex(), "envelope": content.hex()}
        for name, content in cases.items()
    ]


def key_rings() -> dict[str, Any]:
    old, new, gone = (EnvelopeKey(bytes([i]) * 32) for i in (1, 2, 3))
    ring = KeyRing.create(old).add(new).add(gone).promote(new.id).retire(gone.id)
    content = lock_ring(ring, "correct horse", salt=b"s" * 16, nonce=b"n" * 12, log2_n=4)
    cases = {
        "empty": b"",
        "header alone": content[:36],
        "another magic": changed(content, 0, b"SFEV"),
        "a future version": changed(content, 4, b"\x02"),
        "scrypt without work": changed(content, 5, b"\x00"),
        "scrypt past all memory": changed(content, 5, b"\x3f"),
        "a huge block size": changed(content, 6, b"\xff"),
        "endless scrypt": changed(content, 7, b"\xff"),
        "less scrypt than was meant": changed(content, 5, b"\x03"),
        "another salt": changed(content, 8, bytes(16)),
        "another nonce": changed(content, 24, bytes(12)),
        "the end cut": content[:-1],
        "a byte appended": content + b"\x00",
        "a bit of the ciphertext": changed(content, 40, bytes([content[40] ^ 1])),
    }
    return {
        "passphrase": "correct horse",
        "ring": content.hex(),
        "entries": [
            {"id": new.id.hex(), "state": "primary", "key": new.material.hex()},
            {"id": old.id.hex(), "state": "opening", "key": old.material.hex()},
            {"id": gone.id.hex(), "state": "retired", "key": None},
        ],
        "invalid": [{"name": name, "ring": ring.hex()} for name, ring in cases.items()],
    }


def requests() -> list[dict[str, Any]]:
    vectors = []
    for name, seed in (("X25519", None), ("ML-KEM-768 with X25519", bytes(range(64)))):
        mlkem = MLKEM768PrivateKey.from_seed_bytes(seed) if seed else None
        client = request_key(X25519PrivateKey.from_private_bytes(KEY), mlkem)
        vectors.append(
            {
                "name": name,
                "x25519": KEY.hex(),
                "mlkem_seed": seed.hex() if seed else None,
                "public": client.public.hex(),
                "sealed_key": seal_key(EnvelopeKey(b"k" * 32), client.public).hex(),
                "key": (b"k" * 32).hex(),
            }
        )
    return vectors


def shuffle_keys() -> list[dict[str, Any]]:
    return [
        {
            "secret": KEY.hex(),
            "context": context.hex(),
            "targets": list(derive_key(KEY, width, context=context).targets),
            "masks": [hex(m) for m in swap_masks(derive_key(KEY, width, context=context))],
        }
        for width in (8, 16, 32, 64)
        for context in (b"", b"second")
    ]


def main() -> None:
    files = {
        "envelope": {"valid": valid_envelopes(), "invalid": invalid_envelopes()},
        "keyring": key_rings(),
        "request": requests(),
        "shufflebits": shuffle_keys(),
    }
    for name, content in files.items():
        (HERE / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
