"""Writes the frozen noise in `vectors/`, as docs/formats.md says, by none of Sfumato's code."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from statistics import NormalDist
from typing import Any

HERE = Path(__file__).parent / "vectors"
_CASES = [
    (bytes(range(32)), "ab" * 32, (1, 2, 3), (2, 2, 2)),
    (bytes(32), "01" * 32, (3, 1, 2), (1, 3, 1)),
]


def main() -> None:
    (HERE / "map-noise.json").write_text(json.dumps(document(), indent=1) + "\n")


def document() -> list[dict[str, Any]]:
    return [_case(*case) for case in _CASES]


def _case(
    secret: bytes, maker: str, size: tuple[int, ...], shape: tuple[int, int, int]
) -> dict[str, Any]:
    pixels = bytes(41 * i % 256 for i in range(size[0] * size[1] * size[2]))
    sides = b"".join(side.to_bytes(4, "little") for side in size)
    picture = hashlib.sha256(sides + pixels).digest()
    count = shape[0] * shape[1] * shape[2]
    stream = hashlib.shake_256(secret + b"map" + bytes.fromhex(maker) + picture).digest(8 * count)
    words = [int.from_bytes(stream[i : i + 8], "little") for i in range(0, 8 * count, 8)]
    return {
        "secret": secret.hex(),
        "maker": maker,
        "size": list(size),
        "pixels": list(pixels),
        "shape": list(shape),
        "noise": [round(NormalDist().inv_cdf(((word >> 12) + 0.5) / 2**52), 8) for word in words],
    }


if __name__ == "__main__":
    main()
