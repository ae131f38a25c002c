"""How much of ShuffleBits `attack.bitstatistics` undoes, on features of real pictures.

    python -m benchmarks.cryptanalysis --data-dir DIR [--victims 40]

Pictures are of LFW, one a person; the adversary's 600 people are others than the victims. The
backbone is a timm ResNet-50 with random weights (2,048 features), so that nothing is downloaded:
`relu` as it gives them, `scaled` to [0, 1] by its public scaler, `symmetric` as a random linear
layer of 512 outputs makes them of standardised features, around zero, as face embeddings are.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor

from sfumato.attack.on_cipher.bitstatistics import BitDetails, BitStatistics, Known
from sfumato.cipher.envelope import seal
from sfumato.cipher.keys import EnvelopeKey
from sfumato.cipher.permutation import draw_key
from sfumato.cipher.shufflebits import shuffle_bits
from sfumato.data.order import random_order
from sfumato.data.sources import load
from sfumato.features.scaler import fit_scaler
from sfumato.types import Knowledge, Releases

_PUBLIC = 600
_SIZE = 96


def features(data_dir: Path, count: int) -> dict[str, Tensor]:
    """Return the three kinds of features of `count` people."""
    images = load("lfw", data_dir=data_dir, size=_SIZE)
    _, order = torch.unique(images.label("identity"), return_inverse=True)
    first = torch.full((int(order.max()) + 1,), len(order)).scatter_reduce(
        0, order, torch.arange(len(order)), "amin"
    )
    chosen = first[random_order(len(first), 0)[:count]]
    torch.manual_seed(0)
    net = timm.create_model("resnet50", pretrained=False, num_classes=0).eval()
    pictures = images.images[chosen].float() / 255
    with torch.no_grad():
        relu = torch.cat([net(part) for part in pictures.split(50)])
    public = relu[:_PUBLIC]
    standardised = (relu - public.mean(0)) / public.std(0).clamp_min(1e-6)
    mixed = standardised @ torch.randn(relu.shape[1], 512) / relu.shape[1] ** 0.5
    return {"relu": relu, "scaled": fit_scaler(public)(relu), "symmetric": mixed}


def attacked(
    x: Tensor, *, responses: int = 1, known: int = 0, envelope: bool = False
) -> list[float]:
    """Return value, floor, right bit positions, and places that known values fix."""
    public, victims = x[:_PUBLIC], x[_PUBLIC:]
    if envelope:
        key = EnvelopeKey.draw()
        rows = [bytearray(seal(row, key)) for row in victims.split(1)]
        release = torch.stack([torch.frombuffer(row, dtype=torch.uint8) for row in rows])
    else:
        release = torch.cat([shuffle_bits(v, draw_key(32)) for v in victims.split(responses)])

    def plain(pictures: Tensor) -> Tensor:
        return pictures[:, 0, 0]  # the features stand for the pictures that they were taken from

    knowledge = Knowledge(images=public[:, None, None], labels={}, query=plain, query_plain=plain)
    victim = Releases(
        protector="shufflebits", tensor=release, images=victims[:, None, None], labels={}
    )
    found = BitStatistics(responses=responses, known_values=known).run(victim, knowledge)
    fixed = [
        Known(v[:known], r[:known]).fixed() if known else 0
        for v, r in zip(victims, release, strict=True)
    ]
    assert isinstance(found.details, BitDetails)
    right = found.details.bit_positions_right
    return [found.value, *found.interval, found.floor, right, sum(fixed) / len(fixed)]


def main() -> None:
    """Attack, print a table, and end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--victims", type=int, default=40)
    arguments = parser.parse_args()
    settings: dict[str, dict[str, Any]] = {
        "one response": {},
        "4 responses under one key": {"responses": 4},
        "12 known values": {"known": 12},
        "sealed": {"envelope": True},
    }
    figures = {}
    for kind, x in features(arguments.data_dir, _PUBLIC + arguments.victims).items():
        for name, setting in settings.items():
            row = figures[f"{kind}, {name}"] = attacked(x, **setting)
            value, low, high, floor, right, fixed = row
            print(
                f"{kind:10} {name:26} cosine {value:.4f} [{low:.4f}, {high:.4f}] floor {floor:.4f} "
                f"positions {right:.0f} of 32" + (f", fixed {fixed:.1f}" if fixed else ""),
                flush=True,
            )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
