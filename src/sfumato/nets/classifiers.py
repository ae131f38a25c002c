"""Classifiers of releases: the paper's linear probe, a perceptron, and a small conv net.

Each one has `embed`, the vector before its last layer, by which two releases are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from jaxtyping import Float
from torch import Tensor, nn

_DROPOUT = 0.2


class LinearProbe(nn.Module):
    """One batch normalisation and one fully connected layer (paper `shufflebits`, section III-B).

    Shapes: `(n, ...)`, flattened to `(n, dim)`, to logits `(n, classes)`.
    """

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(dim)
        self.head = nn.Linear(dim, classes)

    def embed(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n dim"]:
        """Return the normalised release."""
        normal: Tensor = self.norm(x.flatten(1))
        return normal

    def forward(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n classes"]:
        """Return logits."""
        logits: Tensor = self.head(self.embed(x))
        return logits


class Perceptron(nn.Module):
    """Two hidden layers with batch normalisation and dropout.

    Shapes: `(n, ...)`, flattened to `(n, dim)`, to logits `(n, classes)`.
    """

    def __init__(self, dim: int, classes: int, *, hidden: int = 256) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm1d(dim),
            nn.Linear(dim, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Dropout(_DROPOUT),
            nn.Linear(hidden, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Dropout(_DROPOUT),
        )
        self.head = nn.Linear(hidden, classes)

    def embed(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n hidden"]:
        """Return the last hidden layer."""
        hidden: Tensor = self.body(x.flatten(1))
        return hidden

    def forward(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n classes"]:
        """Return logits."""
        logits: Tensor = self.head(self.embed(x))
        return logits


class ConvClassifier(nn.Module):
    """Stages of two 3x3 convolutions and a 2x2 pool until 4 to 7 pixels are left, then a layer.

    Shapes: images or feature maps `(n, channels, h, w)`, h and w at least 4, to `(n, classes)`.
    """

    def __init__(
        self, channels: int, size: tuple[int, int], classes: int, *, width: int = 32
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.BatchNorm2d(channels)]
        (height, across), wide = size, width
        while min(height, across) >= 2 * 4:
            layers += [*_conv(channels, wide), *_conv(wide, wide), nn.MaxPool2d(2)]
            channels, wide = wide, min(2 * wide, 4 * width)
            height, across = height // 2, across // 2
        layers += [*_conv(channels, wide), nn.Flatten()]
        # The map is not averaged away: where something is may be what gives a person away.
        self.body = nn.Sequential(
            *layers, nn.Linear(wide * height * across, 128), nn.BatchNorm1d(128), nn.ReLU()
        )
        self.head = nn.Sequential(nn.Dropout(_DROPOUT), nn.Linear(128, classes))

    def embed(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 128"]:
        """Return the layer before the last."""
        hidden: Tensor = self.body(x)
        return hidden

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Return logits."""
        logits: Tensor = self.head(self.embed(x))
        return logits


class Heads(nn.Module):
    """One network of its own for each attribute, trained together on the same batches."""

    def __init__(self, make: Callable[[int], nn.Module], classes: Mapping[str, int]) -> None:
        super().__init__()
        self.names = tuple(classes)
        self.nets = nn.ModuleList([make(count) for count in classes.values()])

    def forward(self, x: Float[Tensor, "n ..."]) -> dict[str, Tensor]:
        """Return each attribute's logits `(n, classes)`."""
        return {name: net(x) for name, net in zip(self.names, self.nets, strict=True)}


def _conv(before: int, after: int) -> list[nn.Module]:
    return [
        nn.Conv2d(before, after, 3, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
    ]
