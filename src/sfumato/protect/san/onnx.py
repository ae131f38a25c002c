"""A semi-adversarial network as one ONNX file, for runtimes without torch."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from sfumato.nets.onnxfile import write_onnx
from sfumato.protect.san.model import SemiAdversarial


def export_san(protector: SemiAdversarial, path: Path) -> None:
    """Write what `release` computes: `images (n, c, h, w)` in [0, 1] to `release`, any n.

    The own classifier that guesses the attributes is part of the graph. With the output "coin"
    there is none; the device draws `targets (n, attributes)`, 0 or 1 in int64, by a generator that
    nobody can guess, alike for all pictures of a person.

    Raises:
        UnavailableError: the extra `onnx` is not installed.
        InputError: the file cannot be written.
    """
    device = protector.prototypes.device
    inputs = {"images": torch.zeros(2, *protector.shape, device=device)}
    if protector.output != "coin":
        write_onnx(protector, inputs, "release", path)
        return
    inputs["targets"] = torch.zeros(2, len(protector.attributes), dtype=torch.int64, device=device)
    write_onnx(_Toward(protector), inputs, "release", path)


class _Toward(nn.Module):
    """A network whose coins were drawn outside of it."""

    def __init__(self, protector: SemiAdversarial) -> None:
        super().__init__()
        self.protector = protector

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        """Return the images drawn with the prototypes of these values."""
        return self.protector.toward(images, targets)
