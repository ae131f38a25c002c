"""Classifiers that learn from the outputs while the autoencoder trains, as an adversary does later.

Each first learns from originals. Then it learns the true value from what every step draws, and the
autoencoder learns to leave it undecided.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from sfumato.fit.loop import Epoch
from sfumato.protect.augment import random_view
from sfumato.protect.deformation import Deformation
from sfumato.protect.san.losses import undecided_loss
from sfumato.protect.san.training import Learner

_LEARNING_RATE = 1e-3


class Students:
    """The classifiers `made`, which go on learning from random views of outputs."""

    def __init__(self, made: Sequence[nn.Module], augmentation: Deformation) -> None:
        self.augmentation = augmentation
        self.learners = {
            f"student {number}": Learner(
                net.train(), torch.optim.Adam(net.parameters(), lr=_LEARNING_RATE)
            )
            for number, net in enumerate(made)
        }

    def undecided(self, drawn: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
        """Return how far from undecided they are, to be lowered by the autoencoder."""
        losses = [
            undecided_loss(one.network(random_view(drawn, self.augmentation)))
            for one in self.learners.values()
        ]
        return torch.stack(losses).mean() if losses else drawn.new_zeros(())

    def learn(
        self, drawn: Float[Tensor, "n c h w"], y: Int64[Tensor, "n k"], epoch: Epoch
    ) -> Float[Tensor, ""]:
        """Let each take a step on outputs and their true values; return their mean loss before."""
        losses = []
        for name, one in self.learners.items():
            seen = random_view(drawn.detach(), self.augmentation)
            loss = F.binary_cross_entropy_with_logits(one.network(seen), y.float())
            epoch.descend(name, loss)
            losses.append(loss.detach())
        return torch.stack(losses).mean() if losses else drawn.new_zeros(())
