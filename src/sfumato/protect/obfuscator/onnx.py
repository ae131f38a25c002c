"""The obfuscator alone as an ONNX file, for a camera that keeps maps and no picture.

The noise is an input of the graph: the device computes it from a secret of its own and the picture
(docs/formats.md, "Noise key"), so that a picture has one map. A graph's own random operators can be
guessed, and would give a picture many.
"""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float, Int8
from torch import Tensor, nn

from sfumato.errors import ConfigError
from sfumato.nets.onnxfile import write_onnx
from sfumato.protect.obfuscator.model import Obfuscator


class Camera(nn.Module):
    """Pictures and standard normal noise of the maps' shape to int8 maps; no classifier."""

    def __init__(self, obfuscator: Obfuscator) -> None:
        super().__init__()
        self.obfuscator = obfuscator

    def forward(
        self, images: Float[Tensor, "n c h w"], noise: Float[Tensor, "n m y x"]
    ) -> Int8[Tensor, "n m y x"]:
        """Return what may be stored."""
        means = self.obfuscator.means(images)
        return self.obfuscator.quantised(means + self.obfuscator.noise * noise)


def export_obfuscator(obfuscator: Obfuscator, path: Path) -> None:
    """Write an ONNX file with inputs `images` and `noise` and the output `maps`, for any batch.

    Raises:
        ConfigError: its maps are bfloat16, which runtimes on small devices do not give out.
        UnavailableError: the extra `onnx` is not installed.
        InputError: `path` cannot be written.
    """
    if obfuscator.stored != "int8":
        raise ConfigError(
            f"only int8 maps are exported, got {obfuscator.stored}; fit with stored int8"
        )
    examples = {
        "images": torch.zeros(2, *obfuscator.shape),
        "noise": torch.zeros(2, *obfuscator.map_shape),
    }
    write_onnx(Camera(obfuscator), examples, "maps", path)
