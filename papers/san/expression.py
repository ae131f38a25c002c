"""The small separable network that face-api publishes for expressions, taught gender instead.

It joins the ensemble: a network trained on faces elsewhere, of another family than the matcher. Its
kernels are height x width x in x out; "same" padding puts the odd pixel to the right and below.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from papers.docl.facenet import read_weights
from sfumato.nets.faceresnet import MEAN

_FILE = "face_expression_model"
_BLOCKS = 4
_SIDE = 96  # pixels; made for 112, but it learns anew from what it gets
_WIDTH = 256


class ExpressionNet(nn.Module):
    """Logits `(n, 1)` from images `(n, c, h, w)` in [0, 1], grey or RGB; the last layer is new."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.weights = nn.ParameterDict(
            {
                _plain(name): _kernel(name, value)
                for name, value in weights.items()
                if "fc" not in name
            }
        )
        self.head = nn.Linear(_WIDTH, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.head(self.seen(images).mean((2, 3)))
        return logits

    def seen(self, images: Tensor) -> Tensor:
        """Return what the network sees, `(n, 256, h, w)`."""
        x = F.interpolate(images, (_SIDE, _SIDE), mode="bilinear", antialias=True)
        x = (x.expand(-1, 3, -1, -1) * 255 - x.new_tensor(MEAN)[:, None, None]) / 255
        for number in range(_BLOCKS):
            x = self._block(x, f"dense{number}", first=number == 0)
        return x

    def _block(self, x: Tensor, name: str, *, first: bool) -> Tensor:
        """Four convolutions; each sees the sum of all before it."""
        start = self._full(x, f"{name}/conv0") if first else self._separable(x, f"{name}/conv0", 2)
        total = out = start.relu()
        for number in (1, 2, 3):
            out = self._separable(total.relu() if number > 1 else out, f"{name}/conv{number}", 1)
            total = total + out
        return total.relu()

    def _full(self, x: Tensor, name: str) -> Tensor:
        kernel, bias = self.weights[_plain(f"{name}/filters")], self.weights[_plain(f"{name}/bias")]
        return F.conv2d(F.pad(x, (0, 1, 0, 1)), kernel, bias, stride=2)

    def _separable(self, x: Tensor, name: str, stride: int) -> Tensor:
        depth = self.weights[_plain(f"{name}/depthwise_filter")]
        x = F.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
        x = F.conv2d(x, depth, stride=stride, groups=x.shape[1])
        point, bias = (
            self.weights[_plain(f"{name}/{part}")] for part in ("pointwise_filter", "bias")
        )
        return F.conv2d(x, point, bias)


def load_expression(folder: Path) -> ExpressionNet:
    """Read the network from the folder with the two published files.

    Raises:
        ArtifactError: a file is missing, or the weights are not as long as the manifest says.
    """
    return ExpressionNet(read_weights(folder, _FILE))


def _plain(name: str) -> str:
    return name.replace("/", "_")


def _kernel(name: str, value: Tensor) -> nn.Parameter:
    if "filter" in name:
        value = value.permute(2, 3, 0, 1) if "depthwise" in name else value.permute(3, 2, 0, 1)
    return nn.Parameter(value.contiguous())
