"""The calibrated rule on faces: banks of 10 to 1,600 people of LFW, and scores of few pictures.

Nobody is in two parts: those who enroll, those who fit the scaler, the cohort that sets the limits,
those who fit the tail, and the strangers who are counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from papers.docl.faces import chosen_backbone, extracted
from papers.docl.figures import draw_sizes
from papers.docl.worlds import views_of
from papers.recipe import Results, Run
from papers.stages import Stages
from sfumato.data.imageset import ImageSet
from sfumato.data.order import random_order
from sfumato.data.sets.lfw import TIGHT
from sfumato.data.sources import load
from sfumato.features.backbone import Backbone
from sfumato.filter.enrolled import enroll_all, scores
from sfumato.filter.oneclass import OneClass, OneClassConfig, train
from sfumato.filter.rule.calibration import Rarity, anchors, tail_dimension
from sfumato.filter.rule.guard import Sigmas
from sfumato.intervals import wilson_interval
from sfumato.nets.faceresnet import SIDE
from sfumato.progress import track

_CHUNK = 200  # people trained at once
_MOST_TESTS = 8  # new pictures of a person
_SCALER, _COHORT, _FITTING = 600, 1600, 600  # of the people with one picture


@dataclass(frozen=True)
class Crowd:
    """All of LFW: features by picture, and who is on it."""

    backbone: Backbone
    images: ImageSet
    features: Tensor
    owner: Tensor
    strangers: dict[str, Tensor]
    """Features of people with one picture: `cohort`, `fitting` and `unseen`."""

    def pictures(self, person: int, seed: int) -> Tensor:
        """Return the rows of a person's pictures, in a random order."""
        rows = (self.owner == person).nonzero()[:, 0]
        return rows[random_order(len(rows), seed + person)]


@dataclass(frozen=True)
class Enrolled:
    """People who enrolled, and what they upload."""

    nets: list[OneClass]
    private: list[Tensor]
    uploads: Tensor
    uploader: Tensor

    def errors(self, x: Tensor) -> Tensor:
        """Return every autoencoder's squared error on every row."""
        return torch.cat([scores(net, x) for net in self.nets], 1)

    def own(self, values: Tensor) -> Tensor:
        """Return, of values by upload and enrollment, those of the uploader's own."""
        return values[torch.arange(len(values)), self.uploader]


def sizes(run: Run, settings: Mapping[str, Any]) -> Results:
    """Measure what a calibrated bank blocks at each size, and which score few pictures allow."""
    crowd = crowd_of(run)
    config = OneClassConfig().suited("face")
    run.fits("enrolled", config)
    stages = Stages.of(run, settings)

    def bank(count: int) -> dict[str, Any]:
        def make() -> dict[str, Any]:
            enrolled, _views = let_enroll(crowd, config, count, settings["pictures"], seed=run.seed)
            return _bank(crowd, enrolled, settings["targets"], settings["beyond"])

        return stages.document(f"people-{count}", make)

    def few_pictures(count: int) -> dict[str, Any]:
        return stages.document(
            f"pictures-{count}", lambda: _scores(crowd, config, count, settings, run.seed)
        )

    banks = {str(count): bank(count) for count in settings["people"]}
    few = {str(count): few_pictures(count) for count in settings["few"]}
    results: Results = {"training": asdict(config), "sizes": banks, "scores": few}
    draw_sizes(run, results)
    return results


def crowd_of(run: Run) -> Crowd:
    """Return all of LFW behind dlib's network, its scaler fitted on strangers."""
    images = run.uses(load("lfw", data_dir=run.data_dir, box=TIGHT, size=SIDE))
    owner = images.label("identity")
    single = (owner.bincount()[owner] == 1).nonzero()[:, 0]
    single = single[random_order(len(single), run.seed)]
    ends = [_SCALER, _SCALER + _COHORT, _SCALER + _COHORT + _FITTING]
    scaler, *rest = single.tensor_split(ends)
    backbone = chosen_backbone(run, "face").fit(images.subset(scaler))
    features = extracted(backbone, images)
    names = ("cohort", "fitting", "unseen")
    parts = {name: features[rows] for name, rows in zip(names, rest, strict=True)}
    return Crowd(backbone, images, features, owner, parts)


def let_enroll(
    crowd: Crowd, config: OneClassConfig, count: int, pictures: int, *, seed: int
) -> tuple[Enrolled, list[Tensor]]:
    """Let people enroll so many pictures, or all but one; of two both, and nothing is uploaded.

    Return the views that they were trained on as well.
    """
    number = crowd.owner.bincount()
    # As many as there are with enough pictures; for the largest banks with fewer and fewer.
    least = next(n for n in range(pictures + 1, 1, -1) if int((number >= n).sum()) >= count)
    able = (number >= least).nonzero()[:, 0]
    people = able[random_order(len(able), seed)][:count].tolist()
    private, uploads, uploader = [], [], []
    for place, person in enumerate(people):
        rows = crowd.pictures(person, seed)
        cut = min(pictures, max(2, len(rows) - 1))
        private.append(rows[:cut])
        uploads.append(rows[cut : cut + _MOST_TESTS])
        uploader += [place] * len(uploads[-1])
    every = track(list(enumerate(private)), f"views of {count} people")
    views = [_views(crowd, config, rows, seed + i) for i, rows in every]
    nets = [
        train(views[start : start + _CHUNK], config, seed=seed + start)
        for start in track(range(0, count, _CHUNK), f"{count} people enroll")
    ]
    tests = crowd.features[torch.cat(uploads)]
    own = [crowd.features[rows] for rows in private]
    return Enrolled(nets, own, tests, torch.tensor(uploader)), views


def _views(crowd: Crowd, config: OneClassConfig, rows: Tensor, seed: int) -> Tensor:
    pictures = crowd.images.images[rows]
    found = views_of(crowd.backbone, pictures, config.augmentation, len(rows), seed=seed)
    assert found is not None
    return found


def _bank(
    crowd: Crowd, enrolled: Enrolled, targets: Sequence[float], beyond: Sequence[int]
) -> dict[str, Any]:
    """Return what one bank blocks, beside what a verifier of the same features tells apart."""
    count = len(enrolled.private)
    anchor = anchors(enrolled.errors(crowd.strangers["cohort"]))
    dimension = tail_dimension(anchor, enrolled.errors(crowd.strangers["fitting"]))
    errors = enrolled.errors(enrolled.uploads)
    rare = Rarity(anchor, dimension, count)
    strange = rare(enrolled.errors(crowd.strangers["unseen"])).amin(1)
    own = enrolled.own(rare(errors))
    rows = []
    for target in targets:
        false, blocked = (
            float((values <= math.log10(target)).double().mean()) for values in (strange, own)
        )
        verified = _verified(crowd, enrolled, (target / count, 1 / count))
        rows.append(
            {
                "target": target,
                "false_blocks": false,
                "false_blocks_interval": list(wilson_interval(false, len(strange))),
                "blocked": blocked,
                "blocked_interval": list(wilson_interval(blocked, len(own))),
                "verifier_at_target": verified[0],
                "verifier_at_one_in_n": verified[1],
            }
        )
    extended = {}
    for size in beyond:
        larger = enrolled.own(Rarity(anchor, dimension, size)(errors))
        extended[str(size)] = float((larger <= math.log10(targets[0])).double().mean())
    pictures = sum(map(len, enrolled.private)) / count
    return {
        "pictures": pictures,
        "dimension": dimension,
        "uploads": len(own),
        "targets": rows,
        "extrapolated": extended,
    }


def _verified(crowd: Crowd, enrolled: Enrolled, rates: Sequence[float]) -> list[float]:
    """Return the best verifier's share of new pictures accepted at each false-match rate."""
    unseen = crowd.strangers["unseen"]
    found = []
    for verifier in _verifiers(crowd, enrolled).values():
        wrong = verifier(unseen).flatten().sort().values
        own = enrolled.own(verifier(enrolled.uploads))
        places = [min(len(wrong) - 1, math.floor(rate * len(wrong))) for rate in rates]
        found.append([float((own < wrong[place]).double().mean()) for place in places])
    return [max(column) for column in zip(*found, strict=True)]


def _verifiers(crowd: Crowd, enrolled: Enrolled) -> dict[str, Callable[[Tensor], Tensor]]:
    means = torch.stack([x.mean(0) for x in enrolled.private])
    middle = crowd.strangers["cohort"].mean(0)

    def nearest(x: Tensor) -> Tensor:
        return torch.stack([torch.cdist(x, own).amin(1) for own in enrolled.private], 1)

    return {
        "plain error": enrolled.errors,
        "nearest mean": lambda x: torch.cdist(x, means),
        "cosine to the mean": lambda x: (
            -(F.normalize(x - middle, dim=1) @ F.normalize(means - middle, dim=1).T)
        ),
        "nearest picture": nearest,
    }


def _scores(
    crowd: Crowd, config: OneClassConfig, pictures: int, settings: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    """Return what each score blocks where all have the same share of false blocks in the cohort."""
    count, target = settings["few_people"], settings["targets"][0]
    enrolled, views = let_enroll(crowd, config, count, pictures, seed=seed)
    folds = min(5, pictures)
    users = enroll_all(enrolled.private, config, views=views, folds=folds, seed=seed)
    anchor = anchors(enrolled.errors(crowd.strangers["cohort"]))
    shrunk = Sigmas((users.mu + users.mu.mean()) / 2, (users.sigma + users.sigma.mean()) / 2)
    ways = _verifiers(crowd, enrolled) | {
        "own sigmas": lambda x: users.unit(enrolled.errors(x)),
        "sigmas shrunk half-way": lambda x: shrunk(enrolled.errors(x)),
        "anchors: ours": lambda x: enrolled.errors(x) / anchor,
    }
    found: dict[str, Any] = {"people": count}
    for name, way in ways.items():
        limit = way(crowd.strangers["cohort"]).amin(1).quantile(target)
        false = (way(crowd.strangers["unseen"]).amin(1) <= limit).double().mean()
        blocked = (enrolled.own(way(enrolled.uploads)) <= limit).double().mean()
        found[name] = {"blocked": float(blocked), "false_blocks": float(false)}
    return found
