"""The small Xception that face-api publishes for age and gender, as a torch net.

Its kernels are height x width x in x out; TensorFlow's "same" padding puts the odd pixel of a
stride-2 layer to the right and below.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from papers.docl.facenet import read_weights

_STEM, _EXIT = "entry_flow/conv_in", "exit_flow/separable_conv"
_FIRST = "entry_flow/reduction_block_0"
_BLOCKS = (
    "entry_flow/reduction_block_1",
    "middle_flow/main_block_0",
    "middle_flow/main_block_1",
    "exit_flow/reduction_block",
)
_FILE = "age_gender_model"


class GenderXception(nn.Module):
    """Probabilities of male and female.

    Shapes: `(n, 3, 112, 112)`, `(RGB - mean) / 255`, to `(n, 2)`, male first.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.weights = dict(weights)

    def forward(self, x: Tensor) -> Tensor:
        """Return the probabilities."""
        x = _conv(x, self._kernel(f"{_STEM}/filters"), self.weights[f"{_STEM}/bias"]).relu()
        x = self._reduce(x, _FIRST, first=True)
        for name in _BLOCKS:
            x = self._main(x, name) if "main" in name else self._reduce(x, name)
        x = self._separable(x, _EXIT).relu().mean((2, 3))
        return (x @ self.weights["fc/gender/weights"] + self.weights["fc/gender/bias"]).softmax(1)

    def _kernel(self, name: str) -> Tensor:
        return self.weights[name].permute(3, 2, 0, 1)

    def _separable(self, x: Tensor, name: str) -> Tensor:
        depth = self.weights[f"{name}/depthwise_filter"].permute(2, 3, 0, 1)
        x = F.conv2d(x, depth, padding=1, groups=x.shape[1])
        return F.conv2d(x, self._kernel(f"{name}/pointwise_filter"), self.weights[f"{name}/bias"])

    def _reduce(self, x: Tensor, name: str, *, first: bool = False) -> Tensor:
        out = self._separable(x if first else x.relu(), f"{name}/separable_conv0")
        out = self._separable(out.relu(), f"{name}/separable_conv1")
        out = F.max_pool2d(F.pad(out, (0, 1, 0, 1), value=float("-inf")), 3, 2)
        bias = self.weights[f"{name}/expansion_conv/bias"]
        return out + F.conv2d(x, self._kernel(f"{name}/expansion_conv/filters"), bias, stride=2)

    def _main(self, x: Tensor, name: str) -> Tensor:
        out = x
        for i in range(3):
            out = self._separable(out.relu(), f"{name}/separable_conv{i}")
        return x + out


def load_gender(folder: Path) -> GenderXception:
    """Read the network from the folder with the two published files.

    Raises:
        ArtifactError: a file is missing, or the weights are not as long as the manifest says.
    """
    return GenderXception(read_weights(folder, _FILE)).eval()


def _conv(x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    return F.conv2d(F.pad(x, (0, 1, 0, 1)), kernel, bias, stride=2)
