"""The paper's two phases of a semi-adversarial network.

The autoencoder is pre-trained on pixels (2), then trained alone against one classifier and one
matcher, both frozen (5).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sfumato.fit.loop import Epoch, History
from sfumato.protect.san.losses import joint_loss, pixel_loss
from sfumato.protect.san.training import Job


def phases(job: Job) -> dict[str, History]:
    """Train the autoencoder by (2), then by (5); return both curves."""
    net, config = job.net, job.config

    def pretrain(batch: tuple[Tensor, ...], epoch: Epoch) -> Mapping[str, Tensor]:
        x = batch[0].float() / 255
        job.follow(x.device)
        loss = pixel_loss(x, net.draw(x, batch[1], "SM"))
        # The sum over pixels (2) only scales the gradient; its mean keeps one learning rate.
        epoch.descend("autoencoder", loss / x[0].numel())
        return {"pixel": loss / x[0].numel()}

    def joint(batch: tuple[Tensor, ...], epoch: Epoch) -> Mapping[str, Tensor]:
        x, y = batch[0].float() / 255, batch[1].float()
        job.follow(x.device)
        x_sm, x_op = net.draw(x, batch[1], "SM"), net.draw(x, batch[1], "OP")
        with torch.no_grad():
            r = job.matcher(x)
        loss = joint_loss(y, net.classifier(x_sm), net.classifier(x_op), r, job.matcher(x_sm))
        epoch.descend("autoencoder", loss)
        return {"loss": loss}

    net.classifier.requires_grad_(False).eval()
    optimizer = job.adam()
    stages = (
        ("pretrain", pretrain, config.pretrain_epochs, None),
        ("joint", joint, config.epochs, config.joint_images),
    )
    return {
        name: job.run(step, optimizer, config.stage(name, epochs), count=count, title=name)
        for name, step, epochs, count in stages
    }
