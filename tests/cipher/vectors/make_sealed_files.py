"""Writes sealed-files.json beside it: `python tests/cipher/vectors/make_sealed_files.py`.

The content of the envelopes is put together here, byte by byte, with none of `packing`'s code.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

import torch

from sfumato.cipher.envelope import seal_chunks
from sfumato.cipher.header import Suite
from sfumato.cipher.keys import EnvelopeKey

HERE = Path(__file__).parent
KEY = bytes(range(32))
NONCE = bytes(range(100, 124))
NPY = (
    b"\x93NUMPY\x01\x00\x76\x00"
    + (b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }".ljust(117) + b"\n")
    + struct.pack("<2f", 1.0, -2.0)
)


def content(document: object, *files: bytes, magic: bytes = b"SFFILES\x01") -> bytes:
    text = json.dumps(document).encode()
    return magic + struct.pack(">I", len(text)) + text + b"".join(files)


def about(form: str, *files: tuple[str, int]) -> dict[str, object]:
    listed = [{"name": name, "bytes": size} for name, size in files]
    return {"form": form, "vectors": "features", "shape": [2, 1], "files": listed}


def vector(name: str, plain: bytes, **more: str) -> dict[str, str]:
    tensor = torch.frombuffer(bytearray(plain), dtype=torch.uint8)
    parts = seal_chunks(tensor, EnvelopeKey(KEY), suite=Suite.AES_256_GCM, nonce=NONCE)
    sealed = b"".join(parts).hex()
    return {"name": name, "key": KEY.hex(), "plain": plain.hex(), "envelope": sealed, **more}


def main() -> None:
    one, files = about("npy", ("features", len(NPY))), {"state.json": b"{}", "a.arrow": b"xy"}
    folder = about("datasets", *((name, len(part)) for name, part in files.items()))
    parts = {name: part.hex() for name, part in files.items()}
    escaping = about("datasets", ("../x", 1))
    vectors = [
        vector("npy", content(one, NPY), form="npy", files=json.dumps({"features": NPY.hex()})),
        vector(
            "folder", content(folder, *files.values()), form="datasets", files=json.dumps(parts)
        ),
        vector("too short", content(one, NPY[:-1]), error="shorter than they say"),
        vector("too long", content(one, NPY, b"x"), error="longer than they say"),
        vector("outside", content(escaping, b"x"), error="names or lengths"),
        vector("unknown form", content(about("hdf5", ("features", 0))), error="sealed files"),
        vector("negative", content(about("npy", ("features", -1))), error="names or lengths"),
        vector("no list", content([1]), error="sealed files"),
        vector("long list", b"SFFILES\x01" + b"\xff" * 8, error="bytes about files"),
    ]
    (HERE / "sealed-files.json").write_text(json.dumps(vectors, indent=1) + "\n")


if __name__ == "__main__":
    main()
