"""What a platform draws out of enrollments: decoded means and samples, as figures and as a sheet.

The sheet has MNIST's digits alone: it would show faces that nobody may publish again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from papers.docl.worlds import Pictures, World, features_of, pictures_by_class
from papers.recipe import Results, Run
from sfumato.attack.on_filter.enrollment_leak import (
    Evidence,
    LeakDetails,
    decoded_means,
    drawn_samples,
    enrollment_leak,
)
from sfumato.attack.on_filter.membership import judged, member_scores, observed
from sfumato.attack.on_filter.shadows import Pool, train_shadows
from sfumato.attack.tools.scores import mean_interval
from sfumato.attack.tools.sheet import write_sheet
from sfumato.data.sources import load
from sfumato.features.backbone import open_backbone
from sfumato.filter.enrolled import EnrolledUsers
from sfumato.filter.oneclass import OneClassConfig

_SHAPE = (1, 28, 28)


def leak(run: Run, settings: Mapping[str, Any]) -> Results:
    """Draw out of the shipped training's enrollments and of the paper's, over all draws."""
    trainings = {"default": OneClassConfig(), "paper": OneClassConfig.paper()}
    found: dict[str, dict[str, Any]] = {}
    for count in settings["pictures"]:
        for name, config in trainings.items():
            draws = [
                _drawn(run, settings, config, count, run.seed + 100 * draw)
                for draw in range(settings["draws"])
            ]
            found.setdefault(str(count), {})[name] = {
                figure: _figure([draw[figure] for draw in draws]) for figure in draws[0]
            }
    _sheet(run, settings, trainings)
    return {
        "training": asdict(OneClassConfig()),
        "trainings": {name: asdict(config) for name, config in trainings.items()},
        "leak": found,
    }


def _figure(values: Sequence[Sequence[float]]) -> dict[str, Any]:
    rows = torch.tensor(values)
    low, high = mean_interval(rows)
    # Shares, areas and cosines are 1 at most.
    return {"value": float(rows.mean()), "interval": [low, min(1.0, high)]}


def _drawn(
    run: Run, settings: Mapping[str, Any], config: OneClassConfig, count: int, seed: int
) -> dict[str, list[float]]:
    """Return each user's figures: what is drawn, and membership with and without statistics."""
    world, users, public = _enrolled(run, settings, config, count, seed)
    truth = Evidence(members=world.train, public=public)
    figures: dict[str, list[float]] = {}
    for finding in enrollment_leak(users, truth, shape=_SHAPE, seed=seed):
        assert isinstance(finding.details, LeakDetails)
        figures[finding.metric] = list(finding.details.victims)
    shadows = settings["shadows"]
    if shadows:
        figures |= _membership(world, config, shadows, seed)
    return figures


def _membership(
    world: World, config: OneClassConfig, shadows: int, seed: int
) -> dict[str, list[float]]:
    """Return the best area for every user, of whom halves of the pictures are enrolled."""
    views = world.trained if world.views is not None else [None] * len(world.train)
    pools = [Pool(features=x, views=v) for x, v in zip(world.train, views, strict=True)]
    told: dict[bool, list[dict[str, float]]] = {False: [], True: []}
    for i, pool in enumerate(pools):
        trained = train_shadows(pool, config, shadows, seed=1000 * seed + 100 * i)
        for statistics, users in told.items():
            score = member_scores(observed(trained, pool, statistics=statistics), trained.member)
            users.append({name: judged(one, trained.member)[0] for name, one in score.items()})
    return {
        f"membership, {'with code statistics' if statistics else 'weights alone'}": _best(users)
        for statistics, users in told.items()
    }


def _best(users: Sequence[Mapping[str, float]]) -> list[float]:
    """Return every user's area by the attack of the largest mean."""
    best = max(users[0], key=lambda name: sum(user[name] for user in users))
    return [user[best] for user in users]


def _enrolled(
    run: Run, settings: Mapping[str, Any], config: OneClassConfig, count: int, seed: int
) -> tuple[World, EnrolledUsers, Tensor]:
    backbone = open_backbone(settings["backbone"])
    images = run.uses(load("mnist", split="train", data_dir=run.data_dir))
    clothes = run.uses(load("fashion-mnist", split="test", data_dir=run.data_dir))
    pictures = Pictures(backbone, pictures_by_class(images, "digit", seed), [])
    world = pictures.world(config, count, None, seed=seed)
    users = world.enrolled(config, calibration=None, seed=1000 * seed)
    return world, users, features_of(backbone, clothes.images[:1000])


def _sheet(run: Run, settings: Mapping[str, Any], trainings: Mapping[str, OneClassConfig]) -> None:
    """For each training: enrolled pictures' means, decoded means, and the sample nearest to one."""
    rows = []
    for config in trainings.values():
        world, users, public = _enrolled(run, settings, config, settings["pictures"][0], run.seed)
        samples = drawn_samples(users, public, 256, statistics=True, seed=run.seed)
        first = torch.stack([x[0] for x in world.train])
        nearest = torch.cdist(first[:, None], samples)[:, 0].argmin(1)
        means = torch.stack([x.mean(0) for x in world.train])
        rows += [first, samples[torch.arange(len(first)), nearest], means, decoded_means(users)]
    write_sheet(run.figure("sheet"), [row.unflatten(1, _SHAPE) for row in rows])
