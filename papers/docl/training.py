"""Which training of an enrollment is the default: chosen on training images alone.

Every training enrolls the same users, on pixels, oriented gradients and faces, with many images and
with few. Measured are how often the smallest error names the right user, what owners keep and what
attackers who choose how get blocked under the default rule. No test image is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from papers.docl import measure
from papers.docl.faces import facenet_features
from papers.docl.worlds import Pictures, World, pictures_by_class
from papers.docl.worlds import training as stated
from papers.recipe import Results, Run
from sfumato.attack.on_filter.attacker import AttackerConfig
from sfumato.attack.on_filter.poison import (
    PoisonDetails,
    Setting,
    all_attackers,
    all_pairs,
    poison,
)
from sfumato.data.sets.lfw import TIGHT
from sfumato.data.sources import load
from sfumato.features.backbone import open_backbone
from sfumato.filter.oneclass import OneClassConfig
from sfumato.progress import track

_USERS = 10
_RULE = Setting()


@dataclass(frozen=True)
class _Case:
    """One extractor with so many images a user, and the world that a training makes of them."""

    name: str
    world: Callable[[OneClassConfig], World]


def training(run: Run, settings: Mapping[str, Any]) -> Results:
    """Compare trainings by their worst rate over all cases."""
    cases = [case for kind in settings["cases"] for case in _cases(run, kind, settings)]
    variants = {n: stated(**v) for n, v in settings["variants"].items()}
    found = {
        name: {
            case.name: _rates(case.world(config), config, settings, run.seed)
            for case in track(cases, f"training {name}")
        }
        for name, config in variants.items()
    }
    return {
        "training": asdict(OneClassConfig()),
        "trainings": {name: asdict(config) for name, config in variants.items()},
        "rates": found,
        "mean_accuracy": {name: _mean_accuracy(rates) for name, rates in found.items()},
        "worst": {name: _worst(rates) for name, rates in found.items()},
    }


def _cases(run: Run, kind: str, settings: Mapping[str, Any]) -> list[_Case]:
    case = settings["cases"][kind]
    held = case["validation"]
    if kind == "faces":
        users = _people(run, case)
        # Aligned faces here have no views: their pictures' features are what is at hand.
        world = World([x[held:] for x in users], [x[:held] for x in users])
        return [_Case(f"{kind}, {case['images'][0]} images", lambda _: world)]
    digits = _digits(run, case)
    return [
        _Case(f"{kind}, {count} images", partial(_world, digits, count, run.seed))
        for count in case["images"]
    ]


def _world(digits: Pictures, count: int, seed: int, config: OneClassConfig) -> World:
    return digits.world(config, count, None, seed=seed)


def _digits(run: Run, case: Mapping[str, Any]) -> Pictures:
    images = run.uses(load("mnist", split="train", data_dir=run.data_dir))
    held, most = case["validation"], case["validation"] + max(case["images"])
    every = pictures_by_class(images, "digit", run.seed)
    backbone = open_backbone(case["backbone"])
    return Pictures(backbone, [x[held:most] for x in every], [x[:held] for x in every])


def _people(run: Run, case: Mapping[str, Any]) -> list[Tensor]:
    """Return the features of random people of LFW who have enough pictures."""
    images = run.uses(load("lfw", data_dir=run.data_dir, box=TIGHT, size=150))
    owner, generator = images.label("identity"), torch.Generator().manual_seed(run.seed)
    most = case["validation"] + max(case["images"])
    count = owner.bincount()
    fit = (count >= most).nonzero()[:, 0]
    chosen = fit[torch.randperm(len(fit), generator=generator)[:_USERS]]
    rows = [(owner == person).nonzero()[:, 0] for person in chosen]
    drawn = [r[torch.randperm(len(r), generator=generator)[:most]] for r in rows]
    public = (count[owner] == 1).nonzero()[:, 0][: case["public"]]
    return facenet_features(run, images, public, drawn)


def _rates(
    world: World, config: OneClassConfig, settings: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    # Calibrated as devices do where nobody says how.
    users = world.enrolled(config, calibration=None, seed=seed)
    pairs = all_pairs(len(users))[:: settings["stride"]]
    kinds = [AttackerConfig(**kind) for kind in settings["kinds"]]
    bands = [all_attackers(users, world.trained, pairs, k, config, seed=seed) for k in kinds]
    found = poison(users, world.tests, pairs, bands, _RULE, seed=seed)
    details = found.details
    assert isinstance(details, PoisonDetails)
    return {
        "accuracy": measure.overall(*measure.errors_of(users, world.tests)),
        "owners_kept": details.owners_kept_mean,
        "stolen_blocked": 1 - found.value,
        "worst_pair": details.best.worst,
        "kinds": {name: kind.blocked for name, kind in details.kinds.items()},
    }


def _worst(rates: Mapping[str, Mapping[str, Any]]) -> float:
    names = ("accuracy", "owners_kept", "stolen_blocked")
    return min(float(found[name]) for found in rates.values() for name in names)


def _mean_accuracy(rates: Mapping[str, Mapping[str, Any]]) -> float:
    found: Sequence[float] = [case["accuracy"] for case in rates.values()]
    return sum(found) / len(found)
