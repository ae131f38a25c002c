"""What both ways to train a semi-adversarial network share: the network, the data, one stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import chain

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor, nn

from sfumato.fit.config import FitConfig
from sfumato.fit.loop import Epoch, History, fit
from sfumato.protect.san.config import SanConfig
from sfumato.protect.san.model import SemiAdversarial

Step = Callable[[tuple[Tensor, ...], Epoch], Mapping[str, Tensor]]


@dataclass(frozen=True, slots=True)
class Job:
    """A network, the pictures and labels it learns from, and a frozen matcher.

    `pictures` are n x c x h x w of 0 to 255, `labels` n x k of 0 and 1.
    """

    net: SemiAdversarial
    pictures: UInt8[Tensor, "n c h w"]
    labels: Int64[Tensor, "n k"]
    matcher: nn.Module
    config: SanConfig

    def adam(self) -> torch.optim.Optimizer:
        """Return the optimizer of the autoencoder."""
        return torch.optim.Adam(self.net.autoencoder.parameters(), lr=self.config.learning_rate)

    def rows(self, count: int | None) -> tuple[Tensor, Tensor]:
        """Return `count` pictures and their labels, drawn at random; None takes all in order."""
        if count is None or count >= len(self.pictures):
            return self.pictures, self.labels
        generator = torch.Generator().manual_seed(self.config.seed)
        chosen = torch.randperm(len(self.pictures), generator=generator)[:count]
        return self.pictures[chosen], self.labels[chosen]

    def follow(self, device: torch.device, *others: nn.Module) -> None:
        """Bring what is not trained to where the batch is, if a part of it is elsewhere."""
        for network in (self.net, self.matcher, *others):
            if any(
                part.device != device for part in chain(network.parameters(), network.buffers())
            ):
                network.to(device)

    def run(
        self,
        step: Step,
        optimizer: torch.optim.Optimizer,
        config: FitConfig,
        *,
        count: int | None,
        title: str,
        scheduler: torch.optim.lr_scheduler.LRScheduler | None = None,
    ) -> History:
        """Train the autoencoder for one stage on `count` pictures."""
        return fit(
            networks={"autoencoder": self.net.autoencoder},
            optimizers={"autoencoder": optimizer},
            schedulers={} if scheduler is None else {"autoencoder": scheduler},
            data=self.rows(count),
            step=step,
            config=replace(config, about=(config.about, self.matcher)),
            title=title,
        )
