"""Ten users who each enroll one class, and their images kept for testing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from papers.stages import Stage, Stages
from sfumato.data.imageset import ImageSet
from sfumato.features.augmentation import Augmentation
from sfumato.features.backbone import Backbone
from sfumato.features.views import draw_maps, warped
from sfumato.filter.enroll import enroll
from sfumato.filter.enrolled import EnrolledUsers, gather
from sfumato.filter.enrollment import Calibration
from sfumato.filter.oneclass import OneClassConfig
from sfumato.progress import track

_BATCH = 500  # views at once


@dataclass(frozen=True)
class World:
    """Features by class."""

    train: list[Tensor]
    tests: list[Tensor]
    views: list[Tensor] | None = None
    """Features of views of each training image, where devices train on views."""

    @property
    def trained(self) -> list[Tensor]:
        """What networks are trained on, a thief's as well: the views, or the images."""
        return self.train if self.views is None else self.views

    def enrolled(
        self, config: OneClassConfig, *, calibration: Calibration | None, seed: int
    ) -> EnrolledUsers:
        """Enroll every class by itself, as devices do: on views only where the training has any."""
        views = None if config.augmentation is None else self.views
        users = track(list(enumerate(self.train)), f"enrolling ({calibration or 'default'})")
        return gather(
            [
                enroll(
                    x,
                    config,
                    backbone="0" * 64,
                    views=None if views is None else views[i],
                    calibration=calibration,
                    seed=seed + i,
                )
                for i, x in users
            ]
        )


@dataclass(frozen=True)
class Pictures:
    """Pictures by class: from so many of them comes a world, with as many views as devices draw."""

    backbone: Backbone
    train: list[Tensor]
    tests: list[Tensor]

    def world(
        self, config: OneClassConfig, train: int | None, tests: int | None, *, seed: int
    ) -> World:
        """Return the world of the first images of each class."""
        own, others = [x[:train] for x in self.train], [x[:tests] for x in self.tests]
        views = [
            views_of(self.backbone, x, config.augmentation, len(x), seed=seed + i)
            for i, x in enumerate(track(own, "views"))
        ]
        seen = [some for some in views if some is not None]
        return World(
            [features_of(self.backbone, x) for x in own],
            [features_of(self.backbone, x) for x in others],
            seen or None,
        )


def kept_world(
    things: Pictures,
    config: OneClassConfig,
    counts: tuple[int | None, int | None],
    stages: Stages,
    *,
    seed: int,
) -> World:
    """Return `things.world`, a class at a time, each kept: networks may take hours to extract."""

    def kept(c: int) -> dict[str, Tensor]:
        def make(_: Path) -> Stage:
            own = Pictures(things.backbone, [things.train[c]], [things.tests[c]])
            world = own.world(config, *counts, seed=seed + c)
            views = {} if world.views is None else {"views": world.views[0]}
            return {}, {"train": world.train[0], "tests": world.tests[0]} | views

        return stages.keep(f"features-{counts[0]}-{c}", make)[1]

    parts = [kept(c) for c in range(len(things.train))]
    views = [part["views"] for part in parts if "views" in part]
    return World([p["train"] for p in parts], [p["tests"] for p in parts], views or None)


def training(name: str, **changes: Any) -> OneClassConfig:  # noqa: ANN401 - from a recipe's table
    """Return a training as a recipe's table states it."""
    if "augmentation" in changes:
        ranges = changes["augmentation"]
        changes["augmentation"] = Augmentation(**ranges) if ranges else None
    return OneClassConfig.preset(name, **changes)


def pictures_by_class(images: ImageSet, attribute: str, seed: int) -> list[Tensor]:
    """Return the pictures of each class, in a random order."""
    rows = by_class(torch.arange(len(images)), images, attribute, seed)
    return [images.images[chosen] for chosen in rows]


def features_of(backbone: Backbone, images: Tensor) -> Tensor:
    """Return the features of pictures of one size, in batches."""
    with torch.no_grad():
        return torch.cat([backbone(some) for some in images.split(_BATCH)])


def views_of(
    backbone: Backbone,
    images: Tensor,
    augmentation: Augmentation | None,
    pictures: int,
    *,
    seed: int,
) -> Tensor | None:
    """Return the features of views of each image, as a device with so many pictures draws them.

    Shape: (images, views, dim). In batches, so that they differ from a device's in last digits.
    """
    if augmentation is None:
        return None
    each, reach = augmentation.views(pictures), augmentation.reach(pictures)
    generator = torch.Generator().manual_seed(seed)
    maps = draw_maps(each * len(images), augmentation, generator, reach=reach)
    parts = []
    with torch.no_grad():
        for rows in torch.arange(len(maps)).split(_BATCH):
            inputs = backbone.inputs(images[rows // each])
            parts.append(backbone.features_of_inputs(warped(inputs, maps[rows])))
    return torch.cat(parts).reshape(len(images), each, -1)


def by_class(features: Tensor, images: ImageSet, attribute: str, seed: int) -> list[Tensor]:
    """Split features by class, each class in a random order."""
    labels = images.label(attribute)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=generator)
    return [features[order[labels[order] == c]] for c in range(len(images.classes[attribute]))]


def sizes(world: World) -> Sequence[int]:
    """Return the number of training images of each class (the paper's table 1)."""
    return [len(x) for x in world.train]
