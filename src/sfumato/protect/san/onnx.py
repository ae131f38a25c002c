"""A semi-adversarial network as one ONNX file, for runtimes without torch."""

from __future__ import annotations

from pathlib import Path

import torch

from sfumato.nets.onnxfile import write_onnx
from sfumato.protect.san.model import SemiAdversarial


def export_san(protector: SemiAdversarial, path: Path) -> None:
    """Write what `release` computes: `images (n, c, h, w)` in [0, 1] to `release`, any n.

    The own classifier that guesses the attributes is part of the graph.

    Raises:
        UnavailableError: the extra `onnx` is not installed.
        InputError: the file cannot be written.
    """
    images = torch.zeros(2, *protector.shape, device=protector.prototypes.device)
    write_onnx(protector, {"images": images}, "release", path)
