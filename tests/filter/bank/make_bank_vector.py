"""Writes vectors/bank.json, when the format changes: `-m tests.filter.bank.make_bank_vector`."""

from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path

import torch

from sfumato.filter.bank.bank import Bank
from sfumato.filter.enrollment import Enrollment

BACKBONE = "0123456789abcdef" * 4
VECTOR = Path(__file__).parent / "vectors/bank.json"


def person(number: int) -> Enrollment:
    """Numbers that float32 and bfloat16 hold exactly."""
    return Enrollment(
        encoder=torch.tensor([[0.5, -0.25, 1.0], [-1.0, 2.0, 0.125]]) * number,
        encoder_bias=torch.tensor([0.25, -0.5]),
        decoder=torch.tensor([[1.0, -2.0], [0.5, 0.75], [-0.125, 4.0]]),
        decoder_bias=torch.tensor([0.0, 1.5, -3.0]) * number,
        code_mean=torch.tensor([0.5, 2.0]),
        code_covariance=torch.tensor([[1.0, 0.5], [0.5, 2.0]]),
        mu=0.75 * number,
        sigma=0.125,
        calibration="held-out",
        count=10,
        backbone=BACKBONE,
    )


def main() -> None:
    """Make one bank in each dtype."""
    x = [[0.0, 0.5, 1.0], [0.25, 0.75, 0.125]]
    vectors = []
    for dtype in (torch.float32, torch.bfloat16):
        bank = Bank.empty(3, 2, backbone=BACKBONE, dtype=dtype)
        for number, name in enumerate(("ann", "bob", "cléa"), 1):
            bank.add(name, person(number))
        with tempfile.TemporaryDirectory() as folder:
            bank.save(Path(folder) / "b.bank")
            content = (Path(folder) / "b.bank").read_bytes()
        vectors.append(
            {
                "file": base64.b64encode(content).decode(),
                "x": x,
                "ids": bank.ids,
                "errors": bank.errors(torch.tensor(x)).tolist(),
            }
        )
    VECTOR.write_text(json.dumps(vectors, indent=1) + "\n")


if __name__ == "__main__":
    main()
