"""Small attribute classifiers that differ on purpose: what fools them all may fool others too.

They differ in convolution, normalisation, pooling and input size. The
families are those of common published classifiers: plain, residual, separable, large kernels.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sfumato.errors import ConfigError

Family = Literal["plain", "residual", "separable", "wide"]

_LEAST = 4  # pixels a side at which downsampling stops
_DROPOUT = 0.2


class SmallClassifier(nn.Module):
    """One classifier of a family, for images resized to `side` pixels.

    Shapes: `(n, c, h, w)` in [0, 1] to one logit an attribute `(n, attributes)`.

    Raises:
        ConfigError: the family is unknown.
    """

    def __init__(
        self,
        channels: int,
        attributes: int,
        *,
        family: Family = "plain",
        side: int = 48,
        width: int = 16,
    ) -> None:
        super().__init__()
        if family not in _STAGES:
            raise ConfigError(f"a reader's family is one of {get_args(Family)}, got {family!r}")
        self.side = side
        layers: list[nn.Module] = []
        before, after = channels, width
        while side > _LEAST:
            layers.append(_STAGES[family](before, after))
            before, after, side = after, min(2 * after, 6 * width), (side + 1) // 2
        pooled = family in ("residual", "separable")
        layers.append(nn.AdaptiveAvgPool2d(1) if pooled else nn.Identity())
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(_DROPOUT))
        self.head = nn.Linear(before * (1 if pooled else side * side), attributes)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n attributes"]:
        """Return logits, positive for value 1."""
        if images.shape[2] != self.side or images.shape[3] != self.side:
            images = F.interpolate(images, (self.side, self.side), mode="bilinear", antialias=True)
        logits: Tensor = self.head(self.body((images - 0.5) * 4))
        return logits


class _Residual(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.down = nn.Sequential(_conv(before, after, 3, stride=2), nn.BatchNorm2d(after))
        self.branch = nn.Sequential(
            nn.ReLU(), _conv(after, after, 3), nn.BatchNorm2d(after), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        out: Tensor = x + self.branch(x)
        return out


def _plain(before: int, after: int) -> nn.Module:
    return nn.Sequential(
        _conv(before, after, 3),
        nn.BatchNorm2d(after),
        nn.ReLU(),
        nn.MaxPool2d(2, ceil_mode=True),
    )


def _separable(before: int, after: int) -> nn.Module:
    return nn.Sequential(
        _conv(before, after, 1),
        nn.BatchNorm2d(after),
        nn.ReLU(),
        _conv(after, after, 3, groups=after),
        _conv(after, after, 1),
        nn.BatchNorm2d(after),
        nn.ReLU(),
        nn.AvgPool2d(2, ceil_mode=True),
    )


def _wide(before: int, after: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(before, after, 5, stride=2, padding=2), nn.GroupNorm(4, after), nn.SiLU()
    )


_STAGES = {"plain": _plain, "residual": _Residual, "separable": _separable, "wide": _wide}


def _conv(before: int, after: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(
        before, after, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False
    )
