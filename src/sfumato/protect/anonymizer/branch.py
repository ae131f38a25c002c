"""The private branch: classifiers of the private label that the autoencoder is trained against."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from sfumato.nets.classifiers import ConvClassifier, Perceptron
from sfumato.protect.anonymizer.losses import private_loss

Images = Float[Tensor, "n c h w"]
Scalar = Float[Tensor, ""]


class PrivateBranch(nn.Module):
    """q(Z given X^), of one classifier as in the paper, or of several that are trained apart.

    Shapes: images `(n, c, h, w)`, to the logits `(n, values)` of each classifier.
    """

    def __init__(
        self, kinds: Sequence[str], shape: tuple[int, int, int], values: int, *, width: int
    ) -> None:
        super().__init__()
        channels, *size = shape
        make: dict[str, Callable[[], nn.Module]] = {
            "conv": lambda: ConvClassifier(channels, (size[0], size[1]), values, width=width),
            "perceptron": lambda: Perceptron(channels * size[0] * size[1], values),
        }
        self.classifiers = nn.ModuleList(make[kind]() for kind in kinds)

    def forward(self, images: Images) -> list[Tensor]:
        """Return the logits of each classifier."""
        return [classifier(images) for classifier in self.classifiers]


def branch_loss(logits: Sequence[Tensor], labels: Int64[Tensor, "n"]) -> Scalar:
    """Eq. (14), the mean over the classifiers."""
    return torch.stack([private_loss(one, labels) for one in logits]).mean()
