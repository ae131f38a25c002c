"""Writes the frozen maps in `vectors/`, as docs/formats.md says and with none of Sfumato's code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa

HERE = Path(__file__).parent / "vectors"
SHAPE, COUNT = (2, 3, 2), 4
STEP = [0.5, 0.25]
MOODS = [1, -1, 0, 1]
INT8 = (np.arange(COUNT * 12) * 7 % 255 - 127).astype(np.int8)
BF16 = np.array([0.0, -0.0, 1.0, -1.5, 3.0, 0.0078125] * 8, np.float32)


def main() -> None:
    bits = (BF16.view(np.uint32) >> 16).astype(np.uint16).view(np.int16)
    write(HERE / "maps-int8", "int8", pa.array(INT8, pa.int8()))
    write(HERE / "maps-bf16", "bf16", pa.array(bits, pa.int16()))


def write(folder: Path, stored: str, numbers: pa.Array) -> None:
    metadata = {
        "format": 1,
        "obfuscator": "ab" * 32,
        "name": "obfuscator:rate",
        "stored": stored,
        "shape": list(SHAPE),
        "step": STEP,
        "cut": 14,
        "scale": 0.25,
        "classes": {"mood": ["calm", "cross"]},
    }
    column = pa.FixedSizeListArray.from_arrays(numbers, int(np.prod(SHAPE)))
    schema = pa.schema(
        [pa.field("map", column.type), pa.field("mood", pa.int64())],
        metadata={b"sfumato.maps": json.dumps(metadata).encode()},
    )
    folder.mkdir(parents=True, exist_ok=True)
    with (
        pa.OSFile(str(folder / "maps.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, schema) as out,
    ):
        out.write_batch(pa.record_batch([column, pa.array(MOODS, pa.int64())], schema=schema))


if __name__ == "__main__":
    main()
