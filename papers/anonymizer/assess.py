"""The paper's assessment: fresh networks read the labels off the releases of the same people.

They are trained on the releases of the training pictures with all labels, stopped and chosen on
those of the validation pictures, and scored once on those of the test pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from papers.anonymizer.worlds import World
from sfumato.attack.tools.assess import Parts, read_labels
from sfumato.attack.tools.learners import LearnerConfig
from sfumato.attack.tools.scores import draw_weights, interval, weighted_mean
from sfumato.data.imageset import ImageSet
from sfumato.protect.anonymizer.losses import mutual_information
from sfumato.types import Attack, Finding, Knowledge, Protector, Releases, ask

_SHUFFLES = 20  # of the private labels, for what counting alone makes of no information


@dataclass(frozen=True, slots=True)
class Assessment:
    """What fresh networks read off one protector's releases, on the same test pictures."""

    protector: str
    correct: Mapping[str, Bool[Tensor, "n"]]
    """By label: which test pictures were read rightly."""

    def value(self, label: str) -> float:
        """Return the accuracy."""
        return float(self.correct[label].float().mean())


def attackers(settings: Mapping[str, Any], device: str) -> LearnerConfig:
    """Return how hard the fresh networks try."""
    return LearnerConfig(
        learners=tuple(settings["learners"]),
        restarts=settings["restarts"],
        epochs=settings["attack_epochs"],
        patience=settings["patience"],
        precision=settings["precision"],
        device=device,
    )


def assess(
    protector: Protector, world: World, labels: Sequence[str], *configs: LearnerConfig, seed: int
) -> Assessment:
    """Train fresh learners for every label, as each config says, and score the best of all.

    The utility labels are read by an honest recipient, from one start.
    """
    parts = Parts(world.train, world.validation, world.test)
    tries = {
        label: [
            config if label == world.private else replace(config, restarts=1) for config in configs
        ]
        for label in labels
    }
    return Assessment(protector.name, read_labels(protector, parts, tries, seed=seed))


def pooled(assessments: Sequence[Assessment], label: str) -> dict[str, Any]:
    """Return the mean accuracy over seeds, with a 95 % interval over seeds and test pictures."""
    joined = torch.cat([one.correct[label] for one in assessments]).float()
    weights = draw_weights(len(joined) // len(assessments), seeds=len(assessments))
    return {
        "value": float(joined.mean()),
        "interval": list(interval(weighted_mean(joined), weights)),
        "values": [one.value(label) for one in assessments],
    }


def information(protector: Protector, world: World) -> dict[str, float | int]:
    """Return the mutual information, in nats, of private label and release on the test pictures.

    It is counted, so it is there only for releases that take few values. `shuffled` is what the
    same count gives for labels dealt out at random: what a finite count makes of nothing.
    """
    released = ask(protector.release, world.test.floats()).flatten(1)
    index = released.unique(dim=0, return_inverse=True)[1]
    labels = world.test.label(world.private)
    generator = torch.Generator().manual_seed(0)
    orders = [torch.randperm(len(labels), generator=generator) for _ in range(_SHUFFLES)]
    shuffled = [_counted(labels[order], index) for order in orders]
    return {
        "counted": _counted(labels, index),
        "shuffled": sum(shuffled) / len(shuffled),
        "releases": int(index.max()) + 1,
    }


def _counted(labels: Tensor, index: Tensor) -> float:
    joint = torch.zeros(int(labels.max()) + 1, int(index.max()) + 1)
    joint.index_put_((labels, index), torch.ones(len(labels)), accumulate=True)
    return float(mutual_information(joint))


def attacked(attack: Attack, protector: Protector, victims: ImageSet, own: ImageSet) -> Finding:
    """Run an attack on the victims' releases; the adversary has `own` pictures and their releases.

    Each side is released by the protector as it is: bind it to its collection before.
    """
    return attack.run(Releases.of(protector, victims), Knowledge.of(protector, own))
