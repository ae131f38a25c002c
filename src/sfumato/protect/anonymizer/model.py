"""The anonymiser of the paper `anonymizer`: an autoencoder, with or without substitution."""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.device import device_of
from sfumato.nets.autoencoders import ConvAutoencoder
from sfumato.protect.anonymizer.shared import Hiding
from sfumato.protect.anonymizer.substitute import substitute
from sfumato.types import Guarantee

Images = Float[Tensor, "n c h w"]


class Anonymizer(Hiding):
    """q(X^ | X): releases autoencoded images, or the gallery pictures nearest to them.

    Shapes: images `(n, channels, height, width)` in [0, 1], to the same. `gallery` is the number
    of pictures of the chosen identity that releases are substituted by; 0 leaves them as they are.
    """

    kind: ClassVar[str] = "anonymizer"
    gallery: Tensor

    def __init__(
        self,
        *,
        channels: int,
        height: int,
        width: int,
        hides: str,
        lam: float,
        features: int = 32,
        code: int = 32,
        skips: bool = False,
        numbers: int = 0,
        target: str | None = None,
        gallery: int = 0,
    ) -> None:
        super().__init__(channels=channels, height=height, width=width, hides=hides, target=target)
        self.lam = lam
        self.autoencoder = ConvAutoencoder(
            channels,
            width=features,
            code=code,
            skips=skips,
            numbers=numbers,
            size=(height, width),
        )
        self.register_buffer("gallery", torch.zeros(gallery, channels, height, width))

    @property
    def name(self) -> str:
        """Kind, lambda, and the identity that releases are to look like."""
        target = "" if self.target is None else f":{self.target}"
        substituted = "+substitution" if len(self.gallery) else ""
        return f"{self.kind}:{self.lam:g}{target}{substituted}"

    @property
    def guarantee(self) -> Guarantee:
        """With substitution, that real pictures are released."""
        return Guarantee(originals=self.real_pictures if len(self.gallery) else "")

    def substituted(self, gallery: Images) -> Anonymizer:
        """Return the same autoencoder, whose releases are the gallery's pictures nearest to it."""
        settings = {**self.settings, "gallery": len(gallery)}
        made = Anonymizer(**settings)
        made.autoencoder.load_state_dict(self.autoencoder.state_dict())
        made.gallery.copy_(gallery)
        return made.to(device_of(self)).train(self.training)

    def forward(self, images: Images) -> Images:
        """Return what is released."""
        drawn: Tensor = self.autoencoder(images)
        return substitute(drawn, self.gallery) if len(self.gallery) else drawn
