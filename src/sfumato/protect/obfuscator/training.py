"""The data and the network of one training of an obfuscator, and how a part of it is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from sfumato.data.imageset import ImageSet
from sfumato.device import device_of
from sfumato.fit import Epoch, FitConfig, History, fit
from sfumato.protect.augment import random_view
from sfumato.protect.obfuscator.config import ObfuscatorConfig
from sfumato.protect.obfuscator.model import Obfuscator

Images = Float[Tensor, "n c h w"]
Labels = Int64[Tensor, "n"] | Float[Tensor, "n k"]
"""A class for each image, or each class's probability."""
Step = Callable[[tuple[Tensor, ...], Epoch], Mapping[str, Tensor]]


class Job:
    """What every stage of a training shares."""

    def __init__(
        self,
        made: Obfuscator,
        images: Images,
        labels: Labels,
        check: ImageSet,
        config: ObfuscatorConfig,
    ) -> None:
        self.made, self.config = made, config
        self.images, self.labels, self.check = images, labels, check

    def accuracy(self) -> Mapping[str, float]:
        """Return the share of images kept aside that the classifier names rightly."""
        labels = self.check.label(self.made.utility)
        device = device_of(self.made)
        found = [
            self.made.classifier(self.made.noisy(self.made.means(part.to(device)))).argmax(1).cpu()
            for part in self.check.floats().split(256)
        ]
        return {"accuracy": float((torch.cat(found) == labels).float().mean())}

    def view(self, images: Images) -> Images:
        """Return a random view of each image: augmentation."""
        if self.config.flip:
            mirrored = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
            images = torch.where(mirrored, images.flip(3), images)
        return random_view(images, self.config.deformation)

    def run(
        self,
        networks: Mapping[str, nn.Module],
        optimizers: Mapping[str, torch.optim.Optimizer],
        step: Step,
        *,
        epochs: int,
        title: str,
        seed: int,
        schedulers: Mapping[str, torch.optim.lr_scheduler.LRScheduler] | None = None,
        checkpoint: Path | None = None,
    ) -> History:
        """Pass over the data some times; `step` is given batches of images and labels."""
        return fit(
            networks=networks,
            optimizers=optimizers,
            schedulers=schedulers,
            data=(self.images, self.labels),
            step=step,
            config=FitConfig(
                epochs=epochs,
                batch_size=self.config.batch_size,
                seed=seed,
                device=self.config.device,
                precision=self.config.precision,
                checkpoint=checkpoint,
                about=self.config,
            ),
            validate=self.accuracy,
            title=title,
        )
