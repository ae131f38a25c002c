"""The three-stage training of the paper `anonymizer` (section 2, "Training procedure")."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from sfumato.data.imageset import ImageSet
from sfumato.fit import Epoch, FitConfig, History, fit
from sfumato.nets.autoencoders import PictureDiscriminator
from sfumato.nets.classifiers import ConvClassifier
from sfumato.protect.anonymizer.config import AnonymizerConfig
from sfumato.protect.anonymizer.losses import (
    autoencoder_loss,
    empirical_distribution,
    fidelity_loss,
    objective_loss,
    private_loss,
)
from sfumato.protect.anonymizer.model import Anonymizer
from sfumato.protect.fitted import Fitted
from sfumato.protect.labels import private_labels

Images = Float[Tensor, "n c h w"]
_BETAS = (0.5, 0.999)  # of Adam, as is usual for discriminators


AfterEpoch = Callable[[int, Anonymizer], None]
"""Called with 0 after the pre-training, then with each epoch's number."""


def fit_anonymizer(
    images: ImageSet,
    *,
    private: str,
    config: AnonymizerConfig | None = None,
    after_epoch: AfterEpoch | None = None,
) -> Fitted[Anonymizer]:
    """Train an anonymiser on labelled images; only the private label is looked at.

    Raises:
        DataError: the private label is unusable, or `config.target` is no value of it.
    """
    config = config or AnonymizerConfig()
    labels = private_labels(images, private, target=config.target)
    channels, height, width = images.images.shape[1:]
    shown = images if config.target is None else images.where(private, config.target)
    torch.manual_seed(config.seed)
    made = Anonymizer(
        channels=channels,
        height=height,
        width=width,
        hides=private,
        lam=config.lam,
        features=config.features,
        code=2 * config.features,
        skips=config.skips,
        target=config.target,
    )
    game = _Game(made, shown.floats(), labels, config)
    rows = images.floats()
    histories = {
        "pixels": game.play("pixels", rows, labels, config.pixel_epochs, game.reproduce),
        "discriminator": game.play(
            "discriminator", rows, labels, config.discriminator_epochs, game.resemble
        ),
    }
    if after_epoch is not None:
        after_epoch(0, made)
    histories["anonymise"] = game.play(
        "anonymise", rows, labels, config.epochs, game.anonymise, after_epoch
    )
    made = made.cpu().eval()
    released = made.substituted(shown.floats()) if config.substitute else made
    return Fitted(protector=released, histories=histories, trained=len(images))


class _Game:
    """The three networks and their turns."""

    def __init__(
        self,
        made: Anonymizer,
        originals: Images,
        labels: Int64[Tensor, "m"],
        config: AnonymizerConfig,
    ) -> None:
        self.made, self.originals, self.config = made, originals, config
        values = int(labels.max()) + 1
        self.distribution = empirical_distribution(labels, values)
        channels, *size = made.shape
        shape = (size[0], size[1])
        self.networks: dict[str, nn.Module] = {
            "auto": made.autoencoder,
            "discriminator": PictureDiscriminator(channels, shape, width=config.features),
            "private": ConvClassifier(channels, shape, values, width=config.features),
        }
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.Adam(net.parameters(), lr=config.lr, betas=_BETAS)
            for name, net in self.networks.items()
        }

    def play(
        self,
        stage: str,
        rows: Images,
        labels: Int64[Tensor, "n"],
        epochs: int,
        step: Callable[[tuple[Tensor, ...], Epoch], Mapping[str, Tensor]],
        after_epoch: AfterEpoch | None = None,
    ) -> History:
        """Train one stage."""
        seen = 0

        def validate() -> dict[str, float]:
            nonlocal seen
            seen += 1
            if after_epoch is not None:
                after_epoch(seen, self.made)
            return {}

        stem = self.config.checkpoint
        return fit(
            networks=self.networks,
            optimizers=self.optimizers,
            data=(rows, labels),
            step=step,
            validate=validate,
            config=FitConfig(
                epochs=epochs,
                batch_size=self.config.batch_size,
                seed=self.config.seed,
                device=self.config.device,
                checkpoint=None if stem is None else stem.with_name(f"{stem.name}-{stage}"),
            ),
            title=f"anonymizer: {stage}",
        )

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
        epoch.descend("auto", fooled)
        return {"discriminator": discriminated, "fidelity": fooled}

    def anonymise(self, batch: tuple[Tensor, ...], epoch: Epoch) -> Mapping[str, Tensor]:
        """Third stage: the autoencoder, eq. (12), against both others, eqs (13) and (14)."""
        images, labels = batch
        released = epoch.networks["auto"](images)
        discriminated = self._discriminate(released.detach(), epoch)
        named = private_loss(epoch.networks["private"](released.detach()), labels)
        epoch.descend("private", named)
        logits = epoch.networks["private"](released)
        fooled = self._fooled(released, epoch)
        objective = objective_loss(logits, self.distribution.to(logits.device))
        loss = autoencoder_loss(
            fooled, objective, private_loss(logits, labels), lam=self.config.lam
        )
        if self.config.pixel:
            loss = loss + self.config.pixel * F.binary_cross_entropy(released, images)
        epoch.descend("auto", loss)
        return {"discriminator": discriminated, "fidelity": fooled, "private": named}

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
