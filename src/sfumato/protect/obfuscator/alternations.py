"""Algorithm 1 of the paper `obfuscator` after its warm-up: rounds of three steps.

In each round obfuscator and classifier learn to classify, the reconstructors learn to draw from
frozen maps, and the obfuscator learns to hinder them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.device import device_of
from sfumato.fingerprint import fingerprint
from sfumato.fit import Epoch, History
from sfumato.fit.checkpoint import load_checkpoint, save_checkpoint
from sfumato.nets.reconstructors import reconstructor
from sfumato.nets.vgg import xavier
from sfumato.protect.obfuscator.losses import bounded_loss, obfuscator_loss, reconstructor_loss
from sfumato.protect.obfuscator.training import Job, Step

_SLOWER = 10  # the rounds' learning rate of obfuscator and classifier, below the warm-up's


def rounds(job: Job) -> History:
    """Train `job.made` by rounds; return their history, with the accuracy after each.

    With `config.checkpoint` a killed training goes on after its last whole round.
    """
    duel = Duel(job)
    path = job.config.checkpoint and Path(f"{job.config.checkpoint}.rounds")
    accuracies = duel.resume(path)
    for cycle in range(len(accuracies), job.config.cycles):
        duel.round(cycle)
        accuracies.append(duel.accuracy())
        duel.save(path, accuracies)
    return History(epochs=[{"accuracy": accuracy} for accuracy in accuracies])


class Duel:
    """An obfuscator and its reconstructors, trained in turn."""

    def __init__(self, job: Job) -> None:
        self.job, self.config, self.made = job, job.config, job.made
        self.mean = job.images.mean(0)
        self.about = fingerprint(job.images, job.labels, job.config)
        names = self.config.reconstructors
        self.attackers = nn.ModuleDict({name: self._attacker(name) for name in names})
        slow = self.config.lr / _SLOWER
        body, rest = list(self.made.body.parameters()), list(self.made.classifier.parameters())
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "joint": torch.optim.Adam([*body, *rest], lr=slow),
            "attack": self._attack_optimizer(),
            "defend": torch.optim.Adam(body, lr=slow),
        }

    @property
    def networks(self) -> dict[str, nn.Module]:
        """Both sides, by name."""
        return {"made": self.made, "attackers": self.attackers}

    def round(self, cycle: int) -> None:
        """Run one round of Algorithm 1."""
        config = self.config
        if config.renew and cycle and cycle % config.renew == 0:
            self._renew(cycle // config.renew)
        steps: dict[str, Step] = {
            "joint": self._joint_step,
            "attack": self._attack_step,
            "defend": self._defend_step,
        }
        for i, (name, step) in enumerate(steps.items()):
            self.job.run(
                self.networks,
                {name: self.optimizers[name]},
                step,
                epochs=config.sub_epochs,
                seed=config.seed + 1 + len(steps) * cycle + i,
                title=f"round {cycle + 1} of {config.cycles}: {name}",
            )

    @torch.no_grad()
    def accuracy(self) -> float:
        """Return the accuracy on the images kept aside."""
        self.made.eval()
        return self.job.accuracy()["accuracy"]

    def save(self, path: Path | None, accuracies: list[float]) -> None:
        """Write all that the next round depends on."""
        if path is not None:
            save_checkpoint(
                path,
                about=self.about,
                modules=self.networks,
                optimizers=self.optimizers,
                schedulers={},
                best={},
                progress={"accuracies": accuracies},
            )

    def resume(self, path: Path | None) -> list[float]:
        """Restore the last whole round, and return the accuracies up to it."""
        if path is None or not path.exists():
            return []
        _, progress = load_checkpoint(
            path,
            about=self.about,
            modules=self.networks,
            optimizers=self.optimizers,
            schedulers={},
        )
        return list(progress["accuracies"])

    def _attacker(self, name: str) -> nn.Module:
        config = self.config
        net = reconstructor(
            name, self.made.map_shape, self.made.shape, width=config.attacker_scale or config.scale
        )
        if config.initialisation == "xavier":
            xavier(net)
        return net.to(memory_format=torch.channels_last)

    def _attack_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.attackers.parameters(), lr=self.config.lr)

    def _renew(self, number: int) -> None:
        """Let one attacker start from new weights, drawn by the round and not by what came before.

        So a training that was interrupted draws the same ones.
        """
        names = list(self.attackers)
        name = names[number % len(names)]
        device = device_of(self.attackers)
        with torch.random.fork_rng():
            torch.manual_seed(self.config.seed + number)
            self.attackers[name] = self._attacker(name).to(device)
        self.optimizers["attack"] = self._attack_optimizer()

    def _joint_step(self, batch: tuple[Tensor, ...], epoch: Epoch) -> Mapping[str, Tensor]:
        logits = self.made.classifier(self.made.means(self.job.view(batch[0])))
        loss = F.cross_entropy(logits, batch[1])
        epoch.descend("joint", loss)
        return {"loss": loss}

    def _attack_step(self, batch: tuple[Tensor, ...], epoch: Epoch) -> Mapping[str, Tensor]:
        images = self.job.view(batch[0])
        self.made.eval()  # frozen, with its statistics
        with torch.no_grad():
            maps = self.made.means(images)
        losses = [reconstructor_loss(images, net(maps)) for net in self.attackers.values()]
        loss = torch.stack(losses).sum()
        epoch.descend("attack", loss)
        return {"psnr": -loss / len(losses)}

    def _defend_step(self, batch: tuple[Tensor, ...], epoch: Epoch) -> Mapping[str, Tensor]:
        images, labels = self.job.view(batch[0]), batch[1]
        self.attackers.eval()
        self.made.classifier.eval()
        maps = self.made.means(images)
        logits = self.made.classifier(maps)
        losses = [
            self._privacy(logits, labels, images, net(maps)) for net in self.attackers.values()
        ]
        loss = torch.stack(losses).mean()
        epoch.descend("defend", loss)
        return {"loss": loss}

    def _privacy(self, logits: Tensor, labels: Tensor, images: Tensor, guesses: Tensor) -> Tensor:
        if self.config.objective == "psnr":
            return obfuscator_loss(logits, labels, images, guesses, self.config.lam)
        floor = self.mean.to(images.device)
        return bounded_loss(logits, labels, images, guesses, self.config.lam, floor)
