"""Our training, against unseen classifiers: rounds against an ensemble of different classifiers.

Part of the ensemble is replaced in every round. The classifiers see random views, and all outputs
are trained at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from sfumato.fit.loop import Epoch, History
from sfumato.protect.augment import random_view
from sfumato.protect.san.classifiers import Ensemble
from sfumato.protect.san.losses import hinge_match_loss, steered_loss, total_loss
from sfumato.protect.san.model import STEER
from sfumato.protect.san.training import Job

_LEAST_RATE = 0.05  # share of the learning rate that is left in the end
_MIX = {"OP": 0.5, "NT": 0.25, "SM": 0.25}  # the output that must work gets half of the pictures


def rounds(job: Job, known: Sequence[nn.Module]) -> dict[str, History]:
    """Train against an ensemble that includes the `known` classifiers; return the curves."""
    config = job.config
    ensemble = Ensemble(
        job.pictures,
        job.labels,
        config.ensemble_images,
        config.stage,
        known,
        width=config.ensemble_width,
        augmentation=config.augmentation,
    )
    ensemble_epochs = config.ensemble_epochs or config.classifier_epochs
    ensemble.grow(config.ensemble, ensemble_epochs)
    optimizer = job.adam()
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, config.rounds * config.epochs, eta_min=_LEAST_RATE * config.learning_rate
    )
    duel, histories = _Duel(job, ensemble), {}
    for number in range(config.rounds):
        if number:
            ensemble.refresh(config.refreshed, ensemble_epochs)
        ensemble.freeze()
        name = f"joint-{number}"
        histories[name] = job.run(
            duel.step,
            optimizer,
            replace(
                config.stage(name, config.epochs),
                seed=config.seed + number,
                about=(config, *known),
            ),
            count=config.joint_images,
            title=f"joint training, round {number + 1} of {config.rounds}",
            scheduler=scheduler,
        )
    return histories


class _Duel:
    def __init__(self, job: Job, ensemble: Ensemble) -> None:
        self.job, self.config, self.ensemble = job, job.config, ensemble

    def step(self, batch: tuple[Tensor, ...], epoch: Epoch) -> Mapping[str, Tensor]:
        """One step of all three terms."""
        config = self.config
        x, y = batch[0].float() / 255, batch[1]
        self.job.follow(x.device, *self.ensemble.known)
        steer = _fair(y) if config.output == "coin" else _mixed(len(x))[:, None].expand_as(y)
        steer = steer.to(x.device)
        drawn = self.job.net.steered(x, y, steer)
        fooled = self._fooled(drawn, y, steer)
        matched = self._matched(x, drawn)
        changed = (drawn - x).square().mean() / config.bound**2
        loss = total_loss(
            config.pixel_weight * changed,
            config.attribute_weight * fooled,
            config.match_weight * matched,
        )
        epoch.descend("autoencoder", loss)
        return {"loss": loss, "attribute": fooled, "match": matched, "pixel": changed}

    def _fooled(
        self, drawn: Float[Tensor, "n c h w"], y: Tensor, steer: Float[Tensor, "n k"]
    ) -> Tensor:
        augmentation = self.config.augmentation
        asked = self.ensemble.ask(self.config.ensemble_a_step)
        losses = [
            steered_loss(y.float(), steer, classifier(random_view(drawn, augmentation)))
            for classifier in asked
        ]
        return torch.stack(losses).mean()

    def _matched(self, x: Float[Tensor, "n c h w"], drawn: Float[Tensor, "n c h w"]) -> Tensor:
        few = max(1, round(self.config.match_share * len(x)))
        with torch.no_grad():
            r = self.job.matcher(x[:few])
        return hinge_match_loss(r, self.job.matcher(drawn[:few]), self.config.match_free)


def _mixed(count: int) -> Float[Tensor, "n"]:
    """Draw which output each picture of a batch trains."""
    values = torch.tensor([STEER[name] for name in _MIX])
    return values[torch.multinomial(torch.tensor(list(_MIX.values())), count, replacement=True)]


def _fair(y: Int64[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """Draw for each attribute of each picture whether a coin shows the true value."""
    shown = torch.randint(0, 2, y.shape).bool()
    return torch.where(shown, STEER["SM"], STEER["OP"])
