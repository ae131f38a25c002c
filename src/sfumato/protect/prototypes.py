"""An anonymiser whose releases are a few fixed pictures, each used by everyone equally often.

A release that takes P values carries at most log P nats, whoever looks at it, and of the private
label the mutual information of eq. (5), which is then counted and not estimated
(`anonymizer_losses.mutual_information`). Training spends those log P on what is common to all
private values: within each of them every prototype is to be used equally often.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sfumato.nets.autoencoders import PrototypeMatcher
from sfumato.protect.hiding import Hiding

Images = Float[Tensor, "n c h w"]


class PrototypeAnonymizer(Hiding):
    """Releases, for each image, the picture of the prototype that it is most similar to.

    Shapes: images `(n, channels, height, width)` in [0, 1], to the same.
    """

    kind: ClassVar[str] = "prototypes"
    pictures: Tensor

    def __init__(
        self,
        *,
        channels: int,
        height: int,
        width: int,
        hides: str,
        prototypes: int,
        features: int = 32,
        dim: int = 128,
        target: str | None = None,
    ) -> None:
        super().__init__(channels=channels, height=height, width=width, hides=hides, target=target)
        self.matcher = PrototypeMatcher(channels, prototypes, width=features, dim=dim)
        self.register_buffer("pictures", torch.zeros(prototypes, channels, height, width))

    @property
    def name(self) -> str:
        """Kind, number of prototypes, and the identity that releases look like."""
        target = "" if self.target is None else f":{self.target}"
        return f"{self.kind}:{len(self.pictures)}{target}"

    @torch.no_grad()
    def similarities(self, images: Images) -> Float[Tensor, "n prototypes"]:
        """Return the cosine similarity of each image to each prototype, in evaluation mode."""
        training = self.training
        self.eval()
        device = self.pictures.device
        parts = [self.matcher(part.to(device)).cpu() for part in images.split(self.batch_size)]
        self.train(training)
        return torch.cat(parts)

    def assign(self, images: Images) -> Int64[Tensor, "n"]:
        """Return which prototype stands for each image."""
        return self.similarities(images).argmax(1)

    def forward(self, images: Images) -> Images:
        """Return what is released."""
        return self.pictures[self.matcher(images).argmax(1)]
