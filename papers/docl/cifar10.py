"""The paper's CIFAR-10: ten kinds of things enroll their features of a public network.

The paper's network was trained on CIFAR-100; ours is MobileNetV2 of ImageNet on enlarged pictures.
The pictures at hand are JPEG copies (30 dB), so figures do not compare with published ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, get_args

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from papers.docl import figures, measure
from papers.docl.mobilenet import load_mobilenet
from papers.docl.worlds import Pictures, World, kept_world, pictures_by_class, sizes
from papers.recipe import Results, Run
from papers.stages import Stages
from sfumato.data.options import Split
from sfumato.data.sources import load
from sfumato.filter.oneclass import OneClassConfig, Preset

_LOSSY = "JPEG copies of CIFAR-10 (30 dB); MobileNetV2 of ImageNet instead of a CIFAR-100 ResNet"


def cifar10(run: Run, settings: Mapping[str, Any]) -> Results:
    """CIFAR-10 on features of a public network: figures 2, 4 and 5, and a linear ceiling."""
    config = OneClassConfig()
    things = Pictures(
        load_mobilenet(settings["size"]),
        things_of(run, "train", settings["images"]),
        things_of(run, "test", settings["tests"]),
    )
    run.fits("enrolled", config)
    stages = Stages.of(run, settings)
    world = kept_world(things, config, (None, None), stages, seed=run.seed)
    # The last images of each class compare the trainings; the test images only score ours.
    held = settings["held"]
    kept = World(
        [x[:-held] for x in world.train],
        [x[-held:] for x in world.train],
        None if world.views is None else [x[:-held] for x in world.views],
    )
    validated = {
        name: _accuracy(kept, OneClassConfig.preset(name), run.seed) for name in get_args(Preset)
    }
    users = world.enrolled(config, calibration="training", seed=run.seed)
    errors, truth = measure.errors_of(users, world.tests)
    results: Results = {
        "training": asdict(config),
        "accuracy": measure.overall(errors, truth),
        "ceiling_linear_probe": _linear_probe(world),
        "per_class": measure.per_class(errors, truth),
        "training_images": sizes(world),
        "classes": measure.by_classes(errors, truth, (1, 3, 5, 7, 9)),
        "presets_on_validation": validated,
        "note": _LOSSY,
    }
    chosen_sizes = settings["adversary"]
    counts = chosen_sizes["images"], chosen_sizes["tests"]
    part = kept_world(things, config, counts, stages, seed=run.seed)
    enrolled = part.enrolled(config, calibration="held-out", seed=run.seed)
    results["adversary"] = measure.adversary(
        enrolled, part.trained, part.tests, config, chosen_sizes, seed=run.seed
    )
    results["adversary_table"] = measure.trade(results["adversary"])
    figures.draw_all(run, results, paper=0.80)
    return results


def things_of(run: Run, split: Split, count: int) -> list[Tensor]:
    """Return the pictures of one part of CIFAR-10, a tensor a class."""
    images = run.uses(
        load("cifar10", split=split, data_dir=run.data_dir, count=count, seed=run.seed)
    )
    return pictures_by_class(images, next(iter(images.classes)), run.seed)


def _accuracy(world: World, config: OneClassConfig, seed: int) -> float:
    users = world.enrolled(config, calibration="training", seed=seed)
    return measure.overall(*measure.errors_of(users, world.tests))


def _linear_probe(world: World) -> float:
    """What a classifier that sees all classes at once reads from the same features."""
    x, y = _stacked(world.train)
    tests, truth = _stacked(world.tests)
    probe = LogisticRegression(C=0.1, max_iter=100).fit(x.numpy(), y.numpy())
    return float(probe.score(tests.numpy(), truth.numpy()))


def _stacked(rows: list[Tensor]) -> tuple[Tensor, Tensor]:
    return torch.cat(rows), torch.cat([torch.full((len(x),), c) for c, x in enumerate(rows)])
