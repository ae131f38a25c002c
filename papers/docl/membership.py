"""Does an enrollment tell the platform which pictures it was made of? And what hides it?

Digits enroll a random half of a pool of their pictures; the platform says which half. Every attack
has shadow enrollments of the same digit, knows the very views that the device drew, and asks about
views of its own. The accuracy is on new pictures, of the same networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from papers.docl.figures import draw_membership
from papers.docl.worlds import pictures_by_class, training, views_of
from papers.recipe import Results, Run
from papers.stages import Stages
from sfumato.attack.on_filter.membership import judged, member_scores, observed
from sfumato.attack.on_filter.shadows import Pool, Shadows, train_shadows
from sfumato.attack.tools.scores import mean_interval
from sfumato.data.sources import load
from sfumato.features.augmentation import Augmentation
from sfumato.features.backbone import Backbone, open_backbone
from sfumato.filter.enrolled import scores
from sfumato.filter.oneclass import OneClass, OneClassConfig
from sfumato.progress import track


@dataclass(frozen=True)
class _Trial:
    """How many pictures everybody enrolls, and how much is spent on telling which."""

    pictures: int
    users: int
    shadows: int
    draws: int


def membership(run: Run, settings: Mapping[str, Any]) -> Results:
    """Attack the shipped training, the paper's, and other points of the frontier."""
    trainings = {name: training(**v) for name, v in settings["trainings"].items()}
    for name, config in trainings.items():
        run.fits(name, config)
    run.uses(load("mnist", split="train", data_dir=run.data_dir))
    stages = Stages.of(run, settings)
    found: dict[str, dict[str, Any]] = {}
    for name, trials in settings["trials"].items():
        for trial in (_Trial(**one) for one in trials):
            told = _attacked(run, settings, trainings[name], trial, stages, name)
            found.setdefault(str(trial.pictures), {})[name] = told
    results: Results = {
        "training": asdict(OneClassConfig()),
        "trainings": {name: asdict(config) for name, config in trainings.items()},
        "membership": found,
    }
    draw_membership(run, results)
    return results


def _attacked(
    run: Run,
    settings: Mapping[str, Any],
    config: OneClassConfig,
    trial: _Trial,
    stages: Stages,
    name: str,
) -> dict[str, Any]:
    def drawn(draw: int) -> dict[str, Any]:
        part = f"{name}-{trial.pictures}-{draw}"
        return stages.document(part, lambda: _drawn(run, settings, config, trial, draw))

    draws = [drawn(draw) for draw in range(trial.draws)]
    accuracy = [d["accuracy"] for d in draws if d["accuracy"] is not None]
    return {
        "trial": asdict(trial),
        **strongest_of([d["attacks"] for d in draws]),
        "accuracy": fmean(accuracy) if accuracy else None,
        "accuracy_of_draws": accuracy,
    }


def strongest_of(draws: Sequence[Mapping[str, Mapping[str, list[float]]]]) -> dict[str, Any]:
    """Return every attack's area and share named, means over draws and users, and the strongest."""
    attacks = {
        name: {key: _figure([draw[name][key] for draw in draws]) for key in ("auc", "tpr")}
        for name in draws[0]
    }
    best = max(attacks, key=lambda name: attacks[name]["auc"]["value"])
    told = attacks[max(attacks, key=lambda name: attacks[name]["tpr"]["value"])]["tpr"]
    return {"strongest": best, "auc": attacks[best]["auc"], "tpr": told, "attacks": attacks}


def _figure(values: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Return the mean over draws and users with its interval."""
    rows = torch.tensor(values)
    low, high = mean_interval(rows)
    return {"value": float(rows.mean()), "interval": [max(0.0, low), min(1.0, high)]}


def _drawn(
    run: Run, settings: Mapping[str, Any], config: OneClassConfig, trial: _Trial, draw: int
) -> dict[str, Any]:
    """Let every user enroll halves of one draw of pictures, and attack each of these."""
    seed = run.seed + 100 * draw
    backbone = open_backbone(settings["backbone"])
    images = run.uses(load("mnist", split="train", data_dir=run.data_dir))
    private = pictures_by_class(images, "digit", seed)[: trial.users]
    nets, pools = [], []
    for user, own in enumerate(track(private, f"{trial.pictures} pictures")):
        few = own[: min(2 * trial.pictures, len(own))]
        pools.append(pool_of(backbone, few, config.augmentation, seed=seed + user))
        nets.append(train_shadows(pools[-1], config, trial.shadows, seed=1000 * seed + 100 * user))
    return {
        "accuracy": _accuracy(run, settings, backbone, nets) if trial.users == 10 else None,
        "attacks": told_of(nets, pools),
    }


def told_of(users: Sequence[Shadows], pools: Sequence[Pool]) -> dict[str, dict[str, list[float]]]:
    """Return every attack's area and share named, a value a user."""
    told = []
    for shadows, pool in zip(users, pools, strict=True):
        every = member_scores(observed(shadows, pool, statistics=True), shadows.member)
        told.append({name: judged(score, shadows.member) for name, score in every.items()})
    return {
        name: {"auc": [one[name][0] for one in told], "tpr": [one[name][1] for one in told]}
        for name in told[0]
    }


def pool_of(
    backbone: Backbone, images: Tensor, augmentation: Augmentation | None, *, seed: int
) -> Pool:
    """Return a user's pictures, the views that are trained on, and those that are asked about."""
    count = len(images) // 2  # is enrolled
    # The platform knows how devices train, and asks about views like theirs.
    own = Augmentation() if augmentation is None else augmentation
    asked = Augmentation(**{**asdict(own), "most": 8, "total": max(8, own.total // 4)})
    return Pool(
        features=backbone(images),
        views=views_of(backbone, images, augmentation, count, seed=seed),
        queries=views_of(backbone, images, asked, count, seed=seed + 7919),
    )


def _accuracy(
    run: Run, settings: Mapping[str, Any], backbone: Backbone, users: Sequence[Shadows]
) -> float:
    """Return how often the smallest error names the right user, over worlds of one net each."""
    images = run.uses(load("mnist", split="test", data_dir=run.data_dir))
    tests = [x[: settings["tests"]] for x in pictures_by_class(images, "digit", run.seed)]
    truth = torch.cat([torch.full((len(x),), user) for user, x in enumerate(tests)])
    return accuracy_of([user.net for user in users], backbone(torch.cat(tests)), truth)


def accuracy_of(users: Sequence[OneClass], x: Tensor, truth: Tensor) -> float:
    """Return how often the smallest error names the right user, over worlds of one net each."""
    errors = torch.stack([scores(net, x) for net in users], 2)  # tests, worlds, users
    return float((errors.argmin(2) == truth[:, None]).double().mean())
