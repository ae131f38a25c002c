"""How fast a collection is released: images a second, streamed from a folder to a folder.

`plain_one` is a literal copy of the paper's network, run one image at a time as its authors do;
`batched` the same weights in batches, both at the paper's size; `residual` our network; `folder`
the whole way of `sfumato release`, decoding and writing PNGs included.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.interleave import best_seconds
from sfumato.data.decoding.decode import encode_png
from sfumato.data.lazy import open_lazily
from sfumato.data.options import SourceOptions
from sfumato.protect.release.pictures import write_pictures
from sfumato.protect.san.model import SemiAdversarial

_BATCH = 32


def run(*, quick: bool) -> dict[str, Any]:
    """Run all contenders and print a line for each."""
    side, count, rounds = (64, 32, 2) if quick else (224, 32, 3)
    images = torch.rand(count, 1, side, side)
    labels = torch.zeros(count, 1, dtype=torch.int64)
    paper = SemiAdversarial(height=side, width=side, network="paper").eval()
    ours = SemiAdversarial(height=side, width=side).eval()
    weights = paper.autoencoder.state_dict()
    prototypes = paper.prototypes[0]
    contenders: dict[str, Callable[[], object]] = {
        "plain_one": lambda: [
            plain(x, prototypes[0], prototypes[1], weights) for x in images.split(1)
        ],
        "batched": partial(_batched, paper, images, labels),
        "residual": partial(_batched, ours, images, labels),
    }
    seconds = best_seconds(contenders, rounds)
    with tempfile.TemporaryDirectory() as name:
        seconds["folder"] = best_seconds({"folder": _streamed(ours, images, Path(name))}, 1)[
            "folder"
        ]
    rates = {name: round(count / spent, 1) for name, spent in seconds.items()}
    for contender, rate in rates.items():
        print(f"release {side}x{side} {contender:10} {rate:8.1f} images/s")
    return {"side": side, "images_per_second": rates}


def plain(x: Tensor, same: Tensor, target: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
    """Return OP of one image by the paper's network, written out layer by layer."""

    def conv(maps: Tensor, name: str) -> Tensor:
        return F.conv2d(maps, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1)

    maps = torch.cat([x, same[None]], 1)
    maps = F.avg_pool2d(F.leaky_relu(conv(maps, "encoder.0")), 2)
    maps = F.avg_pool2d(F.leaky_relu(conv(maps, "encoder.3")), 2)
    maps = F.interpolate(F.leaky_relu(conv(maps, "decoder.0")), scale_factor=2.0)
    maps = F.interpolate(F.leaky_relu(conv(maps, "decoder.3")), scale_factor=2.0)
    return conv(torch.cat([maps, target[None]], 1), "combiner").sigmoid()


def _batched(net: SemiAdversarial, images: Tensor, labels: Tensor) -> None:
    for x, y in zip(images.split(_BATCH), labels.split(_BATCH), strict=True):
        net.draw(x, y, "OP")


def _streamed(net: SemiAdversarial, images: Tensor, folder: Path) -> Any:  # noqa: ANN401
    source = folder / "in"
    source.mkdir()
    for i, image in enumerate((images * 255).to(torch.uint8)):
        (source / f"{i}.png").write_bytes(encode_png(image))
    options = SourceOptions(size=net.height, channels=1)
    turn = iter(range(100))

    def release() -> None:
        pictures = open_lazily(f"folder:{source}", options)
        write_pictures(net, pictures, folder / f"out{next(turn)}", batch_size=_BATCH)

    return release
