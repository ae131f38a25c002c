"""Ten users who each enroll one class, and their images kept for testing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.data.imageset import ImageSet
from sfumato.filter.enroll import enroll
from sfumato.filter.enrolled import EnrolledUsers, gather
from sfumato.filter.enrollment import Calibration
from sfumato.filter.oneclass import OneClassConfig
from sfumato.progress import track


@dataclass(frozen=True)
class World:
    """Features by class."""

    train: list[Tensor]
    tests: list[Tensor]

    def part(self, train: int, tests: int) -> World:
        """Return the first images of each class only."""
        return World([x[:train] for x in self.train], [x[:tests] for x in self.tests])

    def enrolled(
        self, config: OneClassConfig, *, calibration: Calibration, seed: int
    ) -> EnrolledUsers:
        """Enroll every class by itself, as devices do."""
        users = track(list(enumerate(self.train)), f"enrolling ({calibration})")
        return gather(
            [
                enroll(x, config, backbone="0" * 64, calibration=calibration, seed=seed + i)
                for i, x in users
            ]
        )


def by_class(features: Tensor, images: ImageSet, attribute: str, seed: int) -> list[Tensor]:
    """Split features by class, each class in a random order."""
    labels = images.label(attribute)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=generator)
    return [features[order[labels[order] == c]] for c in range(len(images.classes[attribute]))]


def sizes(world: World) -> Sequence[int]:
    """Return the number of training images of each class (the paper's table 1)."""
    return [len(x) for x in world.train]
