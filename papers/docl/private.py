"""What differential privacy of an enrollment costs, and what it hides from the platform.

The noise, the number of pictures and whether devices train on views are varied; steps and rate are
chosen for each on pictures of the same digits that nobody enrolls. The attacks are `membership`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor

from papers.docl.dpsgd import PrivateConfig, train_private
from papers.docl.figures import draw_private
from papers.docl.membership import accuracy_of, pool_of, strongest_of, told_of
from papers.docl.worlds import by_class
from papers.recipe import Results, Run
from papers.stages import Stages
from sfumato.attack.on_filter.shadows import Pool, Shadows, enroll_shadows
from sfumato.data.imageset import ImageSet
from sfumato.data.sources import load
from sfumato.features.augmentation import Augmentation
from sfumato.features.backbone import Backbone, open_backbone
from sfumato.filter.oneclass import OneClass, Rows
from sfumato.progress import track


@dataclass(frozen=True)
class _Judged:
    """Pictures on which settings are chosen, or on which they are judged, of all digits."""

    x: Tensor
    truth: Tensor

    @classmethod
    def of(cls, backbone: Backbone, images: Sequence[Tensor]) -> _Judged:
        truth = [torch.full((len(own),), digit) for digit, own in enumerate(images)]
        return cls(backbone(torch.cat(list(images))), torch.cat(truth))

    def accuracy(self, users: Sequence[OneClass]) -> float:
        return accuracy_of(users, self.x, self.truth)


def private(run: Run, settings: Mapping[str, Any]) -> Results:
    """Train with noise of several strengths, and attack every enrollment."""
    backbone = open_backbone(settings["backbone"])
    train = run.uses(load("mnist", split="train", data_dir=run.data_dir))
    test = run.uses(load("mnist", split="test", data_dir=run.data_dir))
    rows = _rows(train, run.seed)
    held = [own[-settings["validation"] :] for own in rows]
    pools = [own[: -settings["validation"]] for own in rows]
    tests = [own[: settings["tests"]] for own in _rows(test, run.seed)]
    run.apart(
        enrolled=train.subset(torch.cat(pools)),
        validation=train.subset(torch.cat(held)),
        victims=test.subset(torch.cat(tests)),
    )
    validation = _Judged.of(backbone, [train.images[own] for own in held])
    judged = _Judged.of(backbone, [test.images[own] for own in tests])
    stages = Stages.of(run, settings)
    found: dict[str, dict[str, Any]] = {}
    for trial in settings["trials"]:
        few = [train.images[own[: 2 * trial["pictures"]]] for own in pools]
        for views, noise in product(trial["views"], trial["noise"]):
            view = Augmentation() if views else None

            def make(*, of: tuple[Any, ...] = (few, view, noise, trial)) -> dict[str, Any]:
                return _tried(run, settings, backbone, validation, judged, *of)

            row = stages.document(f"{trial['pictures']}-{noise:g}-{views}", make)
            name = f"{noise:g}{', views' if views else ''}"
            found.setdefault(str(trial["pictures"]), {})[name] = row
    results: Results = {"private": found}
    draw_private(run, results)
    return results


def _tried(
    run: Run,
    settings: Mapping[str, Any],
    backbone: Backbone,
    validation: _Judged,
    judged: _Judged,
    few: Sequence[Tensor],
    view: Augmentation | None,
    noise: float,
    trial: Mapping[str, Any],
) -> dict[str, Any]:
    """Choose steps and rate, enroll halves of everybody's pictures, and attack them."""
    title = f"{trial['pictures']} pictures, noise {noise:g}"
    pools = [
        pool_of(backbone, images, view, seed=run.seed + user)
        for user, images in enumerate(track(few, title))
    ]
    choices = [PrivateConfig(**one, noise_multiplier=noise) for one in settings["choices"]]
    config = max(choices, key=lambda one: validation.accuracy(_first(pools, one, run.seed)))
    users = [_shadows(p, config, trial["shadows"], run.seed + u) for u, p in enumerate(pools)]
    pictures = int(users[0].member[0].sum())
    delta = 1 / (10 * pictures)
    return {
        **asdict(config),
        "delta": delta,
        "epsilon": config.epsilon(pictures, delta) if noise else None,
        "accuracy": judged.accuracy([user.net for user in users]),
        **strongest_of([told_of(users, pools)]),
    }


def _first(pools: Sequence[Pool], config: PrivateConfig, seed: int) -> list[OneClass]:
    """Return one enrollment of each user, of half of a pool."""
    halves = [_trained(pool)[: len(pool.features) // 2] for pool in pools]
    return [train_private([half], config, seed=seed + user) for user, half in enumerate(halves)]


def _shadows(pool: Pool, config: PrivateConfig, shadows: int, seed: int) -> Shadows:
    def enroll(features: Sequence[Rows]) -> OneClass:
        return train_private(features, config, seed=1000 * seed)

    return enroll_shadows(pool, enroll, shadows, seed=1000 * seed)


def _trained(pool: Pool) -> Tensor:
    return pool.features if pool.views is None else pool.views


def _rows(images: ImageSet, seed: int) -> list[Tensor]:
    return by_class(torch.arange(len(images)), images, "digit", seed)
