"""The paper's MNIST: ten digits enroll, clothes are uploaded too, each digit steals another's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from torch import Tensor

from papers.docl import figures, measure
from papers.docl.worlds import Pictures, World, pictures_by_class, sizes, training
from papers.recipe import Results, Run
from sfumato.data.imageset import ImageSet
from sfumato.data.options import Split
from sfumato.data.sources import load
from sfumato.features.backbone import open_backbone
from sfumato.features.cache import extract
from sfumato.filter.enrolled import EnrolledUsers, scores
from sfumato.filter.oneclass import OneClassConfig


def mnist(run: Run, settings: Mapping[str, Any]) -> Results:
    """MNIST against Fashion-MNIST: figures 2 to 5, and which change brought what."""
    config = OneClassConfig.preset(settings["training"])
    digits = digits_of(run, settings)
    world = digits.world(config, settings["images"], None, seed=run.seed)
    clothes = features_of(settings, run.uses(images_of(run, "fashion-mnist", "test")))
    paper = world.enrolled(config, calibration="training", seed=run.seed)
    ours = world.enrolled(config, calibration="held-out", seed=run.seed)
    errors, truth = measure.errors_of(paper, world.tests)
    results: Results = {
        "training": asdict(config),
        "accuracy": measure.overall(errors, truth),
        "accuracy_of_the_papers_training": _accuracy(
            World(world.train, world.tests), OneClassConfig.paper(), run.seed
        ),
        "accuracy_of_held_out_enrollments": measure.overall(*measure.errors_of(ours, world.tests)),
        "per_class": measure.per_class(errors, truth),
        "training_images": sizes(world),
        "acceptance": {
            name: _curve(users, world, clothes, settings["alphas"])
            for name, users in (("training", paper), ("held-out", ours))
        },
        "classes": measure.by_classes(errors, truth, (1, 3, 5, 7, 9)),
        "ablation": _ablation(digits, settings, run.seed),
        "adversary": _adversary(digits, config, settings, run.seed),
    }
    results["adversary_table"] = measure.trade(results["adversary"])
    figures.draw_all(run, results, paper=0.97)
    return results


def images_of(run: Run, name: str, split: Split) -> ImageSet:
    """Return one part of a data set, at full size."""
    return load(name, split=split, data_dir=run.data_dir)


def digits_of(run: Run, settings: Mapping[str, Any]) -> Pictures:
    """Return MNIST's digits, a tensor a class, with the backbone that the settings name."""
    parts = [run.uses(images_of(run, "mnist", split)) for split in ("train", "test")]
    train, tests = (pictures_by_class(part, "digit", run.seed) for part in parts)
    return Pictures(open_backbone(settings["backbone"]), train, tests)


def features_of(settings: Mapping[str, Any], images: ImageSet) -> Tensor:
    """Return the features that the settings name."""
    return extract(open_backbone(settings["backbone"]), images, batch_size=1000, device="cpu")


def _curve(
    users: EnrolledUsers, world: World, clothes: Tensor, alphas: list[float]
) -> list[dict[str, float]]:
    own, truth = measure.errors_of(users, world.tests)
    foreign = scores(users.net, clothes)
    return measure.acceptance(own, truth, foreign, users.mu, users.sigma, alphas)


def _ablation(digits: Pictures, settings: Mapping[str, Any], seed: int) -> dict[str, float]:
    """Accuracy of one change after another, on part of the images."""
    found = {}
    for name, change in settings["ablation"]["variants"].items():
        config = training(**change)
        part = digits.world(config, settings["ablation"]["images"], None, seed=seed)
        found[name] = _accuracy(part, config, seed)
    return found


def _accuracy(world: World, config: OneClassConfig, seed: int) -> float:
    users = world.enrolled(config, calibration="training", seed=seed)
    return measure.overall(*measure.errors_of(users, world.tests))


def _adversary(
    digits: Pictures, config: OneClassConfig, settings: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    chosen = settings["adversary"]
    part = digits.world(config, chosen["images"], chosen["tests"], seed=seed)
    users = part.enrolled(config, calibration="held-out", seed=seed)
    return measure.adversary(users, part.trained, part.tests, config, chosen, seed=seed)
