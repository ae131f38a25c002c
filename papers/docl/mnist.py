"""The paper's MNIST: ten digits enroll, clothes are uploaded too, each digit steals another's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from torch import Tensor

from papers.docl import figures, measure
from papers.docl.worlds import World, by_class, sizes
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
    config = OneClassConfig()
    world = World(
        [x[: settings["images"]] for x in digits_of(run, settings, "train")],
        digits_of(run, settings, "test"),
    )
    clothes = features_of(settings, run.uses(images_of(run, "fashion-mnist", "test")))
    paper = world.enrolled(config, calibration="training", seed=run.seed)
    ours = world.enrolled(config, calibration="held-out", seed=run.seed)
    errors, truth = measure.errors_of(paper, world.tests)
    results: Results = {
        "training": asdict(config),
        "accuracy": measure.overall(errors, truth),
        "accuracy_of_the_papers_training": _accuracy(world, OneClassConfig.paper(), run.seed),
        "accuracy_of_held_out_enrollments": measure.overall(*measure.errors_of(ours, world.tests)),
        "per_class": measure.per_class(errors, truth),
        "training_images": sizes(world),
        "acceptance": {
            name: _curve(users, world, clothes, settings["alphas"])
            for name, users in (("training", paper), ("held-out", ours))
        },
        "classes": measure.by_classes(errors, truth, (1, 3, 5, 7, 9)),
        "ablation": _ablation(world, settings, run.seed),
        "adversary": _adversary(world, config, settings, run.seed),
    }
    results["adversary_table"] = measure.trade(results["adversary"])
    figures.draw_all(run, results, paper=0.97)
    return results


def images_of(run: Run, name: str, split: Split) -> ImageSet:
    """Return one part of a data set, at full size."""
    return load(name, split=split, data_dir=run.data_dir)


def digits_of(run: Run, settings: Mapping[str, Any], split: Split) -> list[Tensor]:
    """Return the features of MNIST's digits, a tensor a class."""
    images = run.uses(images_of(run, "mnist", split))
    return by_class(features_of(settings, images), images, "digit", run.seed)


def features_of(settings: Mapping[str, Any], images: ImageSet) -> Tensor:
    """Return the features that the settings name."""
    return extract(open_backbone(settings["backbone"]), images, batch_size=1000, device="cpu")


def _curve(
    users: EnrolledUsers, world: World, clothes: Tensor, alphas: list[float]
) -> list[dict[str, float]]:
    own, truth = measure.errors_of(users, world.tests)
    foreign = scores(users.net, clothes)
    return measure.acceptance(own, truth, foreign, users.mu, users.sigma, alphas)


def _ablation(world: World, settings: Mapping[str, Any], seed: int) -> dict[str, float]:
    """Accuracy of one change after another, on part of the images."""
    part = World(world.part(settings["ablation"]["images"], 0).train, world.tests)
    found = {}
    for name, change in settings["ablation"]["variants"].items():
        found[name] = _accuracy(part, OneClassConfig.preset(**change), seed)
    return found


def _accuracy(world: World, config: OneClassConfig, seed: int) -> float:
    users = world.enrolled(config, calibration="training", seed=seed)
    return measure.overall(*measure.errors_of(users, world.tests))


def _adversary(
    world: World, config: OneClassConfig, settings: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    chosen = settings["adversary"]
    part = world.part(chosen["images"], chosen["tests"])
    users = part.enrolled(config, calibration="held-out", seed=seed)
    return measure.adversary(users, part.train, part.tests, config, chosen, seed=seed)
