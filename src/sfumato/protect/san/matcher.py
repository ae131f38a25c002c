"""A face matcher of one's own, for training where no published one is at hand."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sfumato.data.imageset import MISSING, ImageSet
from sfumato.errors import DataError
from sfumato.fit.config import FitConfig
from sfumato.fit.loop import Epoch, fit
from sfumato.nets.classifiers import ConvClassifier
from sfumato.protect.augment import random_view
from sfumato.protect.deformation import FACE_AUGMENTATION

_LEARNING_RATE = 2e-3
_LEAST_PEOPLE = 2
_TEMPERATURE = 0.07  # cosines of 128 dimensions are small: softmax needs them larger


class IdentityMatcher(nn.Module):
    """Unit vectors that lie close for pictures of one person.

    Shapes: images `(n, c, h, w)` in [0, 1] to `(n, 128)`.
    """

    def __init__(
        self, channels: int, size: tuple[int, int], people: int, *, width: int = 16
    ) -> None:
        super().__init__()
        self.net = ConvClassifier(channels, size, people, width=width)
        self.names = nn.Parameter(torch.randn(people, 128))

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 128"]:
        """Return the embeddings."""
        return F.normalize(self.net.embed(images), dim=1)

    def logits(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n people"]:
        """Return how close each picture is to each person's own vector."""
        close: Tensor = self(images) @ F.normalize(self.names, dim=1).T
        return close / _TEMPERATURE


def train_matcher(
    images: ImageSet, identity: str, config: FitConfig, *, width: int = 16
) -> IdentityMatcher:
    """Train a matcher to name the people in these images; pictures without a name are left out.

    Raises:
        DataError: there is no such label, or there are fewer than two people.
    """
    named = images.subset(images.label(identity) != MISSING)
    people, target = named.label(identity).unique(return_inverse=True)
    if len(people) < _LEAST_PEOPLE:
        raise DataError(
            f"a matcher learns from {_LEAST_PEOPLE} people at least, got {len(people)} in "
            f"{identity!r}"
        )
    torch.manual_seed(config.seed)
    channels, height, across = named.images.shape[1:]
    net = IdentityMatcher(channels, (height, across), len(people), width=width)
    optimizer = torch.optim.Adam(net.parameters(), lr=_LEARNING_RATE)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.epochs)

    def step(batch: tuple[Tensor, ...], epoch: Epoch) -> Mapping[str, Tensor]:
        loss = F.cross_entropy(
            net.logits(random_view(batch[0].float() / 255, FACE_AUGMENTATION)), batch[1]
        )
        epoch.descend("matcher", loss)
        return {"loss": loss}

    fit(
        networks={"matcher": net},
        optimizers={"matcher": optimizer},
        schedulers={"matcher": scheduler},
        data=(named.images, target),
        step=step,
        config=config,
        title="matcher",
    )
    return net
