"""Ours, for classifiers that nobody has seen: rounds against a crowd of different classifiers.

Some of the crowd change every round; they look at random views, and all three outputs are trained
at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sfumato.fit.loop import History, Turn
from sfumato.protect.augment import random_view
from sfumato.protect.san.classifiers import Crowd
from sfumato.protect.san.losses import hinge_match_loss, steered_loss, total_loss
from sfumato.protect.san.model import STEER
from sfumato.protect.san.training import Job

_LEAST_RATE = 0.05  # share of the learning rate that is left in the end
_MIX = {"OP": 0.5, "NT": 0.25, "SM": 0.25}  # the output that must work gets half of the pictures


def rounds(job: Job, known: Sequence[nn.Module]) -> dict[str, History]:
    """Train the autoencoder against a crowd that `known` classifiers belong to; return curves."""
    config = job.config
    crowd = Crowd(
        job.pictures,
        job.labels,
        config.reader_images,
        config.stage,
        known,
        width=config.reader_width,
        looks=config.looks,
    )
    reader_epochs = config.reader_epochs or config.classifier_epochs
    crowd.grow(config.readers, reader_epochs)
    optimizer = job.adam()
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, config.rounds * config.epochs, eta_min=_LEAST_RATE * config.learning_rate
    )
    duel, histories = _Duel(job, crowd), {}
    for number in range(config.rounds):
        if number:
            crowd.refresh(config.refreshed, reader_epochs)
        crowd.freeze()
        name = f"joint-{number}"
        histories[name] = job.run(
            duel.step,
            optimizer,
            replace(config.stage(name, config.epochs), seed=config.seed + number),
            count=config.joint_images,
            title=f"joint training, round {number + 1} of {config.rounds}",
            scheduler=scheduler,
        )
    return histories


class _Duel:
    def __init__(self, job: Job, crowd: Crowd) -> None:
        self.job, self.config, self.crowd = job, job.config, crowd

    def step(self, batch: tuple[Tensor, ...], turn: Turn) -> Mapping[str, Tensor]:
        """One step of all three terms."""
        config = self.config
        x, y = batch[0].float() / 255, batch[1]
        self.job.follow(x.device, *self.crowd.known)
        steer = _mixed(len(x)).to(x.device)[:, None].expand_as(y)
        drawn = self.job.net.steered(x, y, steer)
        fooled = self._fooled(drawn, y, steer)
        matched = self._matched(x, drawn)
        changed = (drawn - x).square().mean() / config.bound**2
        loss = total_loss(
            config.pixel_weight * changed,
            config.attribute_weight * fooled,
            config.match_weight * matched,
        )
        turn.descend("autoencoder", loss)
        return {"loss": loss, "attribute": fooled, "match": matched, "pixel": changed}

    def _fooled(
        self, drawn: Float[Tensor, "n c h w"], y: Tensor, steer: Float[Tensor, "n k"]
    ) -> Tensor:
        looks = self.config.looks
        asked = self.crowd.ask(self.config.readers_a_step)
        losses = [
            steered_loss(y.float(), steer, reader(random_view(drawn, looks))) for reader in asked
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
