"""Each network equals a literal transcription of Table 1 with the same weights."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.errors import ConfigError
from sfumato.nets.reconstructors import RECONSTRUCTORS, reconstructor

# Table 1 as printed; "up" is Upsampling2D, "res" a group of residual pairs taken twice.
TABLE = {
    "simrec": "conv3-128 conv3-128 up conv3-64 conv3-64 up conv3-3 sigmoid",
    "urec1": "conv3-64 conv3-64 conv3-64 up conv3-128 conv3-128 conv3-128 up "
    "conv3-256 conv3-256 conv3-256 conv3-3 conv1-3 sigmoid",
    "urec2": "conv3-64 conv3-64 up conv3-128 conv3-128 up conv3-256 conv3-256 conv3-3 conv1-3 "
    "sigmoid",
    "resrec": "transconv3-64 res res up res res up conv1-3 sigmoid",
}


class Transcribed:
    """Applies the table's words one by one, taking weights from a network in order."""

    def __init__(self, name: str, net: nn.Module) -> None:
        self.words = TABLE[name].split()
        self.layers = [m for m in net.modules() if not list(m.children())]
        self.layers = [m for m in self.layers if list(m.parameters())]

    def __call__(self, x: Tensor) -> Tensor:
        weights = iter(self.layers)
        for word in self.words:
            if word == "up":
                x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
            elif word == "sigmoid":
                x = 1 / (1 + (-x).exp())
            elif word == "res":
                start = x
                x = F.relu(self._norm(weights, self._conv(weights, x, 64, 3)))
                x = F.relu(start + self._norm(weights, self._conv(weights, x, 64, 3)))
            else:
                kind, channels = word.split("-")
                x = self._conv(weights, x, int(channels), int(kind[-1]))
                if int(channels) != 3:
                    x = F.relu(self._norm(weights, x))
        assert next(weights, None) is None, "every weight was used"
        return x

    def _conv(self, weights: object, x: Tensor, channels: int, size: int) -> Tensor:
        layer = next(weights)  # type: ignore[call-overload]
        assert layer.kernel_size == (size, size)
        assert layer.out_channels == channels
        if isinstance(layer, nn.ConvTranspose2d):
            return F.conv_transpose2d(x, layer.weight, layer.bias, padding=size // 2)
        return F.conv2d(x, layer.weight, layer.bias, padding=size // 2)

    def _norm(self, weights: object, x: Tensor) -> Tensor:
        layer = next(weights)  # type: ignore[call-overload]
        mean, variance = layer.running_mean[:, None, None], layer.running_var[:, None, None]
        scaled = (x - mean) / (variance + layer.eps).sqrt()
        return scaled * layer.weight[:, None, None] + layer.bias[:, None, None]


@pytest.mark.parametrize("name", RECONSTRUCTORS)
def test_the_network_is_the_tables(name: str) -> None:
    net = reconstructor(name, (128, 8, 8), (3, 32, 32))
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
    net.eval()
    maps = torch.randn(2, 128, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(net(maps), Transcribed(name, net)(maps), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", RECONSTRUCTORS)
@pytest.mark.parametrize(
    ("maps", "picture"), [((5, 4, 6), (1, 32, 48)), ((3, 8, 8), (3, 8, 8)), ((2, 2, 2), (1, 4, 4))]
)
def test_any_map_and_picture_that_fit(
    name: str, maps: tuple[int, int, int], picture: tuple[int, int, int]
) -> None:
    with torch.no_grad():
        drawn = reconstructor(name, maps, picture, width=0.1).eval()(torch.randn(2, *maps))
    assert drawn.shape == (2, *picture)
    assert 0 <= float(drawn.min()) <= float(drawn.max()) <= 1


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="'ulna' is none of: simrec, urec1, urec2, resrec"):
        reconstructor("ulna", (1, 8, 8), (1, 32, 32))
    with pytest.raises(ConfigError, match="8x8 doubled, got 30x30"):
        reconstructor("simrec", (1, 8, 8), (1, 30, 30))
