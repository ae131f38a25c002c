"""The networks of the paper `anonymizer`, and a step of each of its three stages.

With the preset `plain` a step is the paper's. What the others add is told at each line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from sfumato.fit import Epoch, FitConfig, History, fit
from sfumato.nets.autoencoders import PictureDiscriminator
from sfumato.protect.anonymizer.branch import PrivateBranch, branch_loss
from sfumato.protect.anonymizer.config import AnonymizerConfig
from sfumato.protect.anonymizer.losses import (
    autoencoder_loss,
    empirical_distribution,
    fidelity_loss,
    objective_loss,
    private_loss,
)
from sfumato.protect.anonymizer.model import Anonymizer

Images = Float[Tensor, "n c h w"]
Step = Callable[[tuple[Tensor, ...], Epoch], Mapping[str, Tensor]]
_BETAS = (0.5, 0.999)  # of Adam, as is usual for discriminators

AfterEpoch = Callable[[int, Anonymizer], None]
"""Called with 0 after the pre-training, then with each epoch's number."""


class Game:
    """The three networks and their steps."""

    def __init__(
        self,
        made: Anonymizer,
        originals: Float[Tensor, "m c h w"],
        rows: Images,
        labels: Int64[Tensor, "n"],
        config: AnonymizerConfig,
    ) -> None:
        self.made, self.originals, self.config = made, originals, config
        self.rows, self.labels = rows, labels
        values = int(labels.max()) + 1
        self.distribution = empirical_distribution(labels, values)
        channels, height, width = made.shape
        self.networks: dict[str, nn.Module] = {
            "auto": made.autoencoder,
            "discriminator": PictureDiscriminator(
                channels,
                (height, width),
                width=config.features * config.discriminator,
                spectral=config.spectral,
            ),
            "private": PrivateBranch(config.classifiers, made.shape, values, width=config.features),
        }
        rates = {"private": config.lr * config.private_rate}
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.Adam(net.parameters(), lr=rates.get(name, config.lr), betas=_BETAS)
            for name, net in self.networks.items()
        }

    def play(
        self, stage: str, epochs: int, step: Step, after_epoch: AfterEpoch | None = None
    ) -> History:
        """Train one stage."""
        done = 0  # epochs, also those before an interruption

        def stepped(batch: tuple[Tensor, ...], epoch: Epoch) -> Mapping[str, Tensor]:
            nonlocal done
            done = epoch.number + 1
            return step(batch, epoch)

        def validate() -> dict[str, float]:
            if after_epoch is not None:
                after_epoch(done, self.made)
            return {}

        stem = self.config.checkpoint
        return fit(
            networks=self.networks,
            optimizers=self.optimizers,
            schedulers=self._schedulers(epochs) if step == self.anonymise else {},
            data=(self.rows, self.labels),
            step=stepped,
            validate=validate,
            config=FitConfig(
                epochs=epochs,
                batch_size=self.config.batch_size,
                seed=self.config.seed,
                device=self.config.device,
                about=self.config,
                checkpoint=None if stem is None else stem.with_name(f"{stem.name}-{stage}"),
            ),
            title=f"anonymizer: {stage}",
        )

    def _schedulers(self, epochs: int) -> dict[str, LambdaLR]:
        """An addition: rates that fall over the second half, so that the duel comes to rest."""
        if not self.config.settle:
            return {}

        def factor(epoch: int) -> float:
            return min(1.0, 2 * (1 - epoch / epochs))

        return {name: LambdaLR(one, factor) for name, one in self.optimizers.items()}

    def reproduce(self, batch: tuple[Tensor, ...], epoch: Epoch) -> Mapping[str, Tensor]:
        """First stage: a pixel to pixel loss."""
        loss = F.binary_cross_entropy(epoch.networks["auto"](batch[0]), batch[0])
        epoch.descend("auto", loss)
        return {"pixel": loss}

    def resemble(self, batch: tuple[Tensor, ...], epoch: Epoch) -> Mapping[str, Tensor]:
        """Second stage: discriminator and autoencoder in alternation."""
        released = epoch.networks["auto"](batch[0])
        discriminated = self._discriminate(released.detach(), epoch)
        fooled = self._fooled(released, epoch)
        epoch.descend("auto", fooled + self.anchor(released, batch[0]))
        return {"discriminator": discriminated, "fidelity": fooled}

    def anonymise(self, batch: tuple[Tensor, ...], epoch: Epoch) -> Mapping[str, Tensor]:
        """Third stage: the autoencoder, eq. (12), against both others, eqs (13) and (14)."""
        images, labels = batch
        released = epoch.networks["auto"](images)
        discriminated = self._discriminate(released.detach(), epoch)
        named = self._name(released.detach(), labels, epoch)
        for _ in range(self.config.private_steps - 1):  # an addition: the paper has one
            self._name_others(images, epoch)
        fooled = self._fooled(released, epoch)
        hidden = self._hidden(epoch.networks["private"](released), labels, fooled)
        epoch.descend("auto", hidden + self.anchor(released, images))
        return {"discriminator": discriminated, "fidelity": fooled, "private": named}

    def _hidden(self, branch: list[Tensor], labels: Tensor, fooled: Tensor) -> Tensor:
        """Eq. (12); of several classifiers, an addition, the mean."""
        distribution = self.distribution.to(labels.device)
        losses = [
            autoencoder_loss(
                fooled,
                objective_loss(logits, distribution),
                private_loss(logits, labels),
                lam=self.config.lam,
            )
            for logits in branch
        ]
        return torch.stack(losses).mean()

    def anchor(self, released: Images, images: Images) -> Tensor:
        """An addition: the first stage's loss, kept with a small weight, ties a release down."""
        if not self.config.pixel:
            return released.new_zeros(())
        return self.config.pixel * F.binary_cross_entropy(released, images)

    def _name(self, released: Images, labels: Tensor, epoch: Epoch) -> Tensor:
        """Teach the private branch releases, eq. (14)."""
        loss = branch_loss(epoch.networks["private"](released), labels)
        epoch.descend("private", loss)
        return loss

    def _name_others(self, images: Images, epoch: Epoch) -> None:
        """Teach the private branch releases of other pictures than the batch's."""
        picks = torch.randint(len(self.rows), (len(images),))
        with torch.no_grad():
            released = epoch.networks["auto"](self.rows[picks].to(images.device))
        self._name(released, self.labels[picks].to(images.device), epoch)

    def _discriminate(self, released: Images, epoch: Epoch) -> Tensor:
        """Teach the discriminator originals (of the target) and releases, eq. (13)."""
        net = epoch.networks["discriminator"]
        picks = torch.randint(len(self.originals), (len(released),))
        originals = self.originals[picks].to(released.device)
        truth = torch.cat([torch.ones(len(originals)), torch.zeros(len(released))])
        logits = torch.cat([net(originals), net(released)])
        loss = fidelity_loss(logits, truth.to(logits.device))
        epoch.descend("discriminator", loss)
        return loss

    def _fooled(self, released: Images, epoch: Epoch) -> Tensor:
        # The paper says that the autoencoder minimises (13) as the discriminator does; with the
        # true y it would help to be found out. As in every GAN it is given y = 1.
        logits = epoch.networks["discriminator"](released)
        return fidelity_loss(logits, torch.ones_like(logits))
