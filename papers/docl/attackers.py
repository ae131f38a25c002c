"""Stolen faces in a calibrated bank: who of two claims stands, and who came first.

Everybody of a bank steals all that another person enrolled, enrolls it too, and uploads that
person's new pictures. An attacker takes the kind of attack that works on pictures held out of
those stolen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from statistics import fmean
from typing import Any

from torch import Tensor

from papers.docl.figures import draw_attackers
from papers.docl.sizes import Crowd, crowd_of, let_enroll
from papers.recipe import Results, Run
from sfumato.attack.on_filter.attacker import AttackerConfig
from sfumato.attack.on_filter.poison import (
    Attackers,
    PoisonDetails,
    Setting,
    all_attackers,
    enrolled_likeness,
    poison,
)
from sfumato.data.order import random_order
from sfumato.filter.calibrate.honesty import choose_contested
from sfumato.filter.enroll import FOLDS
from sfumato.filter.enrolled import EnrolledUsers, enroll_all, scores
from sfumato.filter.oneclass import OneClassConfig
from sfumato.filter.rule.calibration import Rarity, anchors, tail_dimension
from sfumato.progress import track


def attackers(run: Run, settings: Mapping[str, Any]) -> Results:
    """Measure what attackers get shared under each rule, and what owners keep."""
    crowd = crowd_of(run)
    config = OneClassConfig().suited("face")
    count = settings["people"]
    enrolled, views = let_enroll(crowd, config, count, settings["pictures"], seed=run.seed)
    users = enroll_all(enrolled.private, config, views=views, folds=FOLDS, seed=run.seed)
    users = _calibrated(crowd, users)
    tests = [enrolled.uploads[enrolled.uploader == i] for i in range(count)]
    contested = choose_contested(enrolled_likeness(users, users.net, seed=run.seed))
    pairs = _pairs(count, settings["rounds"], run.seed)
    kinds = [AttackerConfig(**kind) for kind in settings["kinds"]]
    bands = [
        all_attackers(users, views, pairs, kind, config, seed=run.seed)
        for kind in track(kinds, "attackers")
    ]
    results: Results = {
        "training": asdict(config),
        "contested": contested,
        "pairs": len(pairs),
        "targets": {
            str(target): {
                name: _tried(
                    users,
                    tests,
                    bands,
                    Setting(**rule, alpha=math.log10(target), contested=contested),
                    seed=run.seed,
                )
                for name, rule in settings["rules"].items()
            }
            for target in settings["targets"]
        },
    }
    draw_attackers(run, results)
    return results


def _calibrated(crowd: Crowd, users: EnrolledUsers) -> EnrolledUsers:
    """Return the users of a bank whose limits follow from strangers' pictures."""
    anchor = anchors(scores(users.net, crowd.strangers["cohort"]))
    dimension = tail_dimension(anchor, scores(users.net, crowd.strangers["fitting"]))
    return replace(users, unit=Rarity(anchor, dimension, len(users)))


def _pairs(count: int, rounds: int, seed: int) -> list[tuple[int, int]]:
    """Return (attacker, victim): everybody attacks so many others, and is attacked as often."""
    order = random_order(count, seed).tolist()
    return [
        (order[i], order[(i + by) % count]) for by in range(1, rounds + 1) for i in range(count)
    ]


def _tried(
    users: EnrolledUsers,
    tests: Sequence[Tensor],
    bands: Sequence[Attackers],
    setting: Setting,
    *,
    seed: int,
) -> dict[str, Any]:
    finding = poison(users, tests, bands[0].pairs, bands, setting, seed=seed)
    details = finding.details
    assert isinstance(details, PoisonDetails)
    kept = details.owners_kept
    return {
        "blocked": details.best.blocked,
        "blocked_interval": [1 - value for value in reversed(finding.interval)],
        "blocked_bound": details.bound.blocked,
        "blocked_without_theft": 1 - finding.floor,
        "nothing_blocked": _share(details.best.matrix, bands[0].pairs, 0.0),
        "under_90": details.best.under_90,
        "kinds": details.best.kinds,
        "strongest": details.strongest,
        "kinds_blocked": {name: kind.blocked for name, kind in details.kinds.items()},
        "kinds_contested": {name: kind.contested for name, kind in details.kinds.items()},
        "owners_kept": fmean(kept),
        "owners_kept_first_half": fmean(kept[: len(kept) // 2]),
        "owners_kept_second_half": fmean(kept[len(kept) // 2 :]),
        "owners_kept_least": min(kept),
    }


def _share(
    matrix: Sequence[Sequence[float]], pairs: Sequence[tuple[int, int]], most: float
) -> float:
    """Return the share of pairs of which no more than `most` was blocked."""
    return fmean(float(matrix[k][v] <= most) for k, v in pairs)
