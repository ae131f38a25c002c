"""The three-stage training of the paper `anonymizer` (section 2, "Training procedure")."""

from __future__ import annotations

import torch

from sfumato.data.imageset import ImageSet
from sfumato.protect.anonymizer.config import AnonymizerConfig
from sfumato.protect.anonymizer.game import AfterEpoch, Game
from sfumato.protect.anonymizer.model import Anonymizer
from sfumato.protect.fitted import Fitted
from sfumato.protect.labels import private_labels


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
        numbers=config.numbers,
        target=config.target,
    )
    rows = images.floats()
    game = Game(made, shown.floats(), rows, labels, config)
    histories = {
        "pixels": game.play("pixels", config.pixel_epochs, game.reproduce),
        "discriminator": game.play("discriminator", config.discriminator_epochs, game.resemble),
    }
    if after_epoch is not None:
        after_epoch(0, made)
    histories["anonymise"] = game.play("anonymise", config.epochs, game.anonymise, after_epoch)
    made = made.cpu().eval()
    released = made.substituted(shown.floats()) if config.substitute else made
    return Fitted(protector=released, histories=histories, trained=len(images))
