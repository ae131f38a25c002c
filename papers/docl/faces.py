"""The paper's faces: people of LFW enroll, others and unseen people upload, an adversary steals.

LFW stands in for the paper's set of celebrities, which is not to be had. The guard's setting is
chosen on training pictures and on other unseen people than those that test it; the scaler comes
from people with one picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from papers.docl import measure
from papers.docl.facefigures import draw_faces, draw_variants
from papers.docl.facenet import load_facenet
from papers.docl.generalnet import SIZE as GENERAL_SIZE
from papers.docl.generalnet import load_generalnet
from papers.recipe import Results, Run
from papers.stages import Stages
from sfumato.attack.on_filter.attacker import AttackerConfig
from sfumato.attack.on_filter.poison import (
    Attackers,
    Setting,
    all_attackers,
    all_pairs,
    owners_kept,
    poison,
    stolen_shared,
)
from sfumato.data.cache import cache_folder
from sfumato.data.imageset import ImageSet
from sfumato.data.order import random_order
from sfumato.data.sets.lfw import TIGHT
from sfumato.data.sources import load
from sfumato.errors import ConfigError
from sfumato.features.backbone import Backbone
from sfumato.features.cache import extract
from sfumato.features.preprocess import Preprocess
from sfumato.filter.enrolled import EnrolledUsers, enroll_all, scores
from sfumato.filter.oneclass import OneClassConfig
from sfumato.nets.faceresnet import SIDE

_USERS = 10
_PAPER = {32: 0.92, 132: 0.97}  # by M: its own faces, features of a network of ImageNet
_CLASSES = (1, 3, 5, 7, 9, 10)
_ENROLLED = 30  # people with at least this many pictures are tested
_TRAIN = 0.75
_FOLDS = 4
_PRICE = 0.02  # of the worst rate, that an advantage of 1 has to gain
ALPHAS = (1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0)
ADVANTAGES = (0.0, 0.5, 0.8, 1.0)
_KINDS = (
    AttackerConfig(),
    AttackerConfig(mode="separate"),
    AttackerConfig(evasion=0.1),
    AttackerConfig(evasion=0.3),
)


@dataclass(frozen=True)
class People:
    """Features by person, and of people whom nobody enrolled."""

    rows: dict[int, Tensor]
    unseen: Tensor
    """People with one picture; the other half of them is the public set."""

    def draw(self, least: int, sets: int, seed: int) -> list[list[int]]:
        """Return random sets of people who have at least `least` pictures."""
        fit = [p for p, x in self.rows.items() if len(x) >= least]
        generator = torch.Generator().manual_seed(seed)
        return [
            [fit[i] for i in torch.randperm(len(fit), generator=generator)[:_USERS].tolist()]
            for _ in range(sets)
        ]


@dataclass(frozen=True)
class World:
    """One set of people who enrolled, and their other pictures."""

    users: EnrolledUsers
    train: list[Tensor]
    tests: list[Tensor]


def faces(run: Run, settings: Mapping[str, Any]) -> Results:
    """Reproduce figures 2 to 5 on faces, with two extractors and two widths each."""
    crowds = {name: people_of(run, name, settings) for name in settings["hidden"]}
    configs = {
        f"{name}-{hidden}": OneClassConfig.preset("plain", hidden=hidden)
        for name, widths in settings["hidden"].items()
        for hidden in widths
    }
    for variant, config in configs.items():
        run.fits(variant, config)
    stages, headline = Stages.of(run, settings), settings["headline"]

    def evaluated(variant: str) -> dict[str, Any]:
        people = crowds[variant.split("-")[0]]
        # The many adversaries are tried on the headline variant; the others get the plain one.
        kinds = _KINDS if variant == headline else _KINDS[:1]

        return stages.document(
            variant, lambda: _evaluate(run, people, configs[variant], kinds, settings)
        )

    def scaled() -> dict[str, Any]:
        rows = _scaling(crowds[headline.split("-")[0]], configs[headline], settings)
        return {"scaling": rows}

    results: Results = {variant: evaluated(variant) for variant in configs}
    scaling = stages.document("scaling", scaled)
    keys = ("accuracy", "per_class", "classes", "acceptance", "adversary", "setting")
    chosen: Results = {key: results[headline][key] for key in keys}
    draw_faces(run, chosen, paper=_PAPER[32])
    draw_variants(run, results, {f"paper, {width}": rate for width, rate in _PAPER.items()})
    return {"training": asdict(configs[headline])} | chosen | scaling | {"variants": results}


def people_of(run: Run, name: str, settings: Mapping[str, Any]) -> People:
    """Return each person's features, and those of strangers."""
    box, size = (TIGHT, SIDE) if name == "face" else (None, GENERAL_SIZE)
    images = run.uses(load("lfw", data_dir=run.data_dir, box=box, size=size))
    owner = images.label("identity")
    count = owner.bincount()[owner]
    one = (count == 1).nonzero()[:, 0][: settings["single"]]
    many = (count >= settings["least_pictures"][name]).nonzero()[:, 0]
    backbone = chosen_backbone(run, name).fit(images.subset(one[::2]))
    features = extracted(backbone, images.subset(many))
    rows = {int(p): features[owner[many] == p] for p in owner[many].unique()}
    return People(rows, extracted(backbone, images.subset(one[1::2])))


def facenet_features(
    run: Run, images: ImageSet, public: Tensor, rows: Sequence[Tensor]
) -> list[Tensor]:
    """Return face features of some images by person; `public` ones fit the scaler."""
    backbone = chosen_backbone(run, "face").fit(images.subset(public))
    return [extracted(backbone, images.subset(row)) for row in rows]


def chosen_backbone(run: Run, name: str) -> Backbone:
    """Return the backbone of that name, not yet fitted."""
    if name == "general":
        scaled = Preprocess(size=(GENERAL_SIZE, GENERAL_SIZE))
        return Backbone.wrap(load_generalnet(), name="general", preprocess=scaled)
    if run.data_dir is None:
        raise ConfigError("expected --data-dir with lfw and, beside it, models/face-api")
    net = load_facenet(run.data_dir.parent / "models" / "face-api")
    wanted = Preprocess(size=(SIDE, SIDE), std=(1 / 255,))  # the network takes [0, 255]
    return Backbone.wrap(net, name="facenet", preprocess=wanted)


def extracted(backbone: Backbone, images: ImageSet) -> Tensor:
    """Return the features of a set, from the cache where they are there."""
    return extract(backbone, images, device="cpu", cache=cache_folder(None) / "features")


def _world(people: People, chosen: Sequence[int], config: OneClassConfig, seed: int) -> World:
    rows = []
    for person in chosen:
        x = people.rows[person]
        rows.append(x[random_order(len(x), seed + person)])
    return enrolled_world(rows, config, seed)


def enrolled_world(rows: Sequence[Tensor], config: OneClassConfig, seed: int) -> World:
    """Let everybody enroll the first three quarters of their pictures."""
    cuts = [min(round(_TRAIN * len(x)), len(x) - 1) for x in rows]
    train = [x[:cut] for x, cut in zip(rows, cuts, strict=True)]
    tests = [x[cut:] for x, cut in zip(rows, cuts, strict=True)]
    folds = min(_FOLDS, min(len(x) for x in train))
    return World(enroll_all(train, config, folds=folds, seed=seed), train, tests)


def _evaluate(
    run: Run,
    people: People,
    config: OneClassConfig,
    kinds: Sequence[AttackerConfig],
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    drawn = people.draw(_ENROLLED, settings["sets"], run.seed)
    worlds = [_world(people, chosen, config, run.seed + i) for i, chosen in enumerate(drawn)]
    # The setting is chosen on training pictures alone, which are split once more for it.
    inner = [enrolled_world(w.train, config, run.seed + i) for i, w in enumerate(worlds)]
    setting, development = _choose(inner, people.unseen[::2], config, kinds[:3], settings, run.seed)
    unseen = people.unseen[1::2]
    per_set = [_per_class(world) for world in worlds]
    paper = Setting(rule="paper", alpha=setting.alpha)
    pairs = all_pairs(_USERS)
    bands = [
        [all_attackers(w.users, w.train, pairs, kind, config, seed=run.seed) for kind in kinds]
        for w in worlds[: settings["adversary_sets"]]
    ]
    return {
        "accuracy": fmean(_accuracy(world) for world in worlds),
        "per_class": per_set,
        "classes": _by_people(worlds),
        "acceptance": _curve(worlds, unseen),
        "setting": asdict(setting) | {"development": development},
        "adversary": {
            rule.rule: _adversary(worlds[: settings["adversary_sets"]], bands, rule, run.seed)
            for rule in (paper, setting)
        },
        "owners_kept": fmean(
            float(owners_kept(w.users, w.tests, setting, seed=run.seed).mean()) for w in worlds
        ),
        "accepted": fmean(accepted_share(w, unseen, setting.alpha) for w in worlds),
    }


def _choose(
    worlds: Sequence[World],
    unseen: Tensor,
    config: OneClassConfig,
    kinds: Sequence[AttackerConfig],
    settings: Mapping[str, Any],
    seed: int,
) -> tuple[Setting, dict[str, float]]:
    """Choose alpha and advantage where the worst of the three rates is best."""
    pairs = all_pairs(_USERS)[:: settings["development_stride"]]
    bands = [
        [all_attackers(w.users, w.train, pairs, kind, config, seed=seed) for kind in kinds]
        for w in worlds
    ]
    rates = {
        (advantage, alpha): _rates(worlds, bands, unseen, alpha, advantage, seed)
        for advantage, alpha in product(ADVANTAGES, ALPHAS)
    }
    worst = {at: min(found.values()) for at, found in rates.items()}
    advantage, alpha = max(rates, key=lambda at: steadiness(worst, *at))
    return Setting(alpha=alpha, advantage=advantage), rates[advantage, alpha]


def steadiness(worst: Mapping[tuple[float, float], float], advantage: float, alpha: float) -> float:
    """The worst rate around alpha: the middle of a plateau is surer than its edge.

    An advantage that owners hardly need would only serve adversaries, so it has to pay.
    """
    at = ALPHAS.index(alpha)
    around = [ALPHAS[min(max(at + step, 0), len(ALPHAS) - 1)] for step in (-1, 0, 1)]
    return fmean(worst[advantage, a] for a in around) - _PRICE * advantage


def _rates(
    worlds: Sequence[World],
    bands: Sequence[Sequence[Attackers]],
    unseen: Tensor,
    alpha: float,
    advantage: float,
    seed: int,
) -> dict[str, float]:
    setting = Setting(alpha=alpha, advantage=advantage)
    shared = [
        max(float(stolen_shared(w.users, t, w.tests, setting, seed=seed).mean()) for t in band)
        for w, band in zip(worlds, bands, strict=True)
    ]
    kept = [float(owners_kept(w.users, w.tests, setting, seed=seed).mean()) for w in worlds]
    return {
        "stolen_blocked": 1 - fmean(shared),
        "owners_kept": fmean(kept),
        "accepted": fmean(accepted_share(w, unseen, alpha) for w in worlds),
    }


def _adversary(
    worlds: Sequence[World], bands: Sequence[Sequence[Attackers]], setting: Setting, seed: int
) -> list[dict[str, Any]]:
    """Fig. 4: one finding a set of people."""
    pairs = all_pairs(_USERS)
    return [
        asdict(poison(world.users, world.tests, pairs, band, setting, seed=seed))
        for world, band in zip(worlds, bands, strict=False)
    ]


def _accuracy(world: World) -> float:
    right = [scores(world.users.net, x).argmin(1) == k for k, x in enumerate(world.tests)]
    return float(torch.cat(right).float().mean())


def _per_class(world: World) -> list[float]:
    return [
        round(float((scores(world.users.net, x).argmin(1) == k).float().mean()), 4)
        for k, x in enumerate(world.tests)
    ]


def _by_people(worlds: Sequence[World]) -> dict[str, list[float]]:
    """Fig. 5: every person's accuracy beside so many of the same set, over all sets."""
    sets = [measure.by_classes(*measure.errors_of(w.users, w.tests), _CLASSES) for w in worlds]
    return {str(k): [rate for found in sets for rate in found[str(k)]] for k in _CLASSES}


def accepted_share(world: World, unseen: Tensor, alpha: float) -> float:
    """Return the share of strangers' pictures that nobody's enrollment claims."""
    users = world.users
    claimed = users.unit(scores(users.net, unseen)) <= alpha
    return 1 - float(claimed.any(1).float().mean())


def _curve(worlds: Sequence[World], unseen: Tensor) -> list[dict[str, float]]:
    """Fig. 3: private pictures claimed by their own enrollment, unseen people accepted."""
    rows = []
    for alpha in ALPHAS:
        own = [
            float((w.users.unit(scores(w.users.net, x))[:, k] <= alpha).float().mean())
            for w in worlds
            for k, x in enumerate(w.tests)
        ]
        accepted = fmean(accepted_share(w, unseen, alpha) for w in worlds)
        rows.append({"alpha": alpha, "blocked": fmean(own), "accepted": accepted})
    return rows


def _scaling(
    people: People, config: OneClassConfig, settings: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Accuracy and the trade-off over alpha as more people enroll, with ever fewer pictures."""
    ranked = sorted(people.rows, key=lambda p: -len(people.rows[p]))
    found = []
    for count in settings["scaling_people"]:
        cap = settings["scaling_pictures"]
        few = People({p: people.rows[p][:cap] for p in ranked[:count]}, people.unseen)
        world = _world(few, ranked[:count], config, 0)
        found.append(
            {
                "people": count,
                "fewest_pictures": min(len(x) for x in few.rows.values()),
                "accuracy": _accuracy(world),
                "acceptance": _curve([world], people.unseen),
            }
        )
    return found
