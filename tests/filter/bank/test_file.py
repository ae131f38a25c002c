"""The bank's file: frozen vectors, read by us and by a second reader of the documentation."""

from __future__ import annotations

import base64
import json
import math
import struct
from pathlib import Path
from typing import Any

import pytest
import torch

from sfumato.filter.bank.bank import Bank

VECTORS = json.loads((Path(__file__).parent / "vectors/bank.json").read_text())


def numbers(dtype: str, content: bytes) -> list[float]:
    if dtype == "BF16":  # the upper half of a float32
        content = b"".join(b"\0\0" + content[i : i + 2] for i in range(0, len(content), 2))
    return list(struct.unpack(f"<{len(content) // 4}f", content))


def independent_errors(content: bytes, x: list[list[float]]) -> tuple[list[str], list[list[float]]]:
    """Read the bytes and evaluate eqs (2), (3) and (6) with the standard library alone."""
    size = int.from_bytes(content[:8], "little")
    layout: dict[str, Any] = json.loads(content[8 : 8 + size])
    header = json.loads(layout.pop("__metadata__")["sfumato"])
    assert header["sfumato.bank"] == "1"
    config = json.loads(header["config"])
    errors: list[list[float]] = [[] for _ in x]
    for i in range(len(layout) // 8):
        part = {}
        for name in ("encoder", "encoder_bias", "decoder", "decoder_bias"):
            entry = layout[f"{i}.{name}"]
            start, end = (8 + size + offset for offset in entry["data_offsets"])
            values = numbers(entry["dtype"], content[start:end])
            step = len(values) // entry["shape"][0]
            part[name] = [values[j : j + step] for j in range(0, len(values), step)]
        d, m = config["dim"], config["hidden"]
        for w, b, v, c in zip(*part.values(), strict=True):
            for row, found in zip(x, errors, strict=True):
                code = [
                    max(0, b[k] + sum(w[k * d + j] * row[j] for j in range(d))) for k in range(m)
                ]
                logits = [c[j] + sum(v[j * m + k] * code[k] for k in range(m)) for j in range(d)]
                image = [1 / (1 + math.exp(-z)) for z in logits]
                found.append(sum((p - q) ** 2 for p, q in zip(row, image, strict=True)))
    return config["ids"], errors


@pytest.mark.parametrize("vector", VECTORS, ids=["float32", "bfloat16"])
def test_frozen_banks_keep_their_scores(vector: dict[str, Any], tmp_path: Path) -> None:
    content = base64.b64decode(vector["file"])
    (tmp_path / "b.bank").write_bytes(content)
    bank = Bank.open(tmp_path / "b.bank")
    expected = torch.tensor(vector["errors"])
    assert list(bank.ids) == vector["ids"]
    torch.testing.assert_close(bank.errors(torch.tensor(vector["x"])), expected)
    ids, errors = independent_errors(content, vector["x"])
    assert ids == vector["ids"]
    torch.testing.assert_close(torch.tensor(errors), expected)
