"""The paper's figures of merit as functions of errors: section 3, figures 2 to 5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from statistics import fmean
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sfumato.attack.on_filter.attacker import AttackerConfig
from sfumato.attack.on_filter.poison import (
    PoisonDetails,
    Setting,
    all_attackers,
    all_pairs,
    owners_kept,
    poison,
)
from sfumato.filter.enrolled import EnrolledUsers, scores
from sfumato.filter.oneclass import OneClassConfig, Rows
from sfumato.filter.rule.guard import Sigmas

Errors = Float[Tensor, "b n"]
Truth = Int64[Tensor, " b"]


def overall(errors: Errors, truth: Truth) -> float:
    """Overall accuracy: the smallest error, eq. (8), names the right class."""
    return float((errors.argmin(1) == truth).double().mean())


def per_class(errors: Errors, truth: Truth) -> list[float]:
    """Fig. 2: the accuracy of each class."""
    right = errors.argmin(1) == truth
    return [float(right[truth == c].double().mean()) for c in range(errors.shape[1])]


def by_classes(errors: Errors, truth: Truth, counts: Sequence[int]) -> dict[str, list[float]]:
    """Fig. 5: the accuracy of each class beside k - 1 others, the mean over all choices of those.

    One class alone is always the smallest of one error, so k = 1 gives 1.
    """
    users = errors.shape[1]
    found = {}
    for k in counts:
        rows = []
        for c in range(users):
            own = errors[truth == c]
            others = [o for o in range(users) if o != c]
            chosen = [[c, *rest] for rest in combinations(others, k - 1)]
            hits = [(own[:, pick].argmin(1) == 0).double().mean() for pick in chosen]
            rows.append(float(torch.stack(hits).mean()))
        found[str(k)] = rows
    return found


def acceptance(
    own: Errors,
    truth: Truth,
    foreign: Errors,
    mu: Float[Tensor, " n"],
    sigma: Float[Tensor, " n"],
    alphas: Sequence[float],
) -> list[dict[str, float]]:
    """Fig. 3: private images held back, and other images accepted, as alpha grows.

    `paper_*`: the class of the smallest error must be right and the error lie in the two-sided
    interval. `claim_*`: the owner's enrollment claims the image (no lower edge, and no smallest
    error needed); accepted is what nobody claims.
    """
    rows, unit = [], Sigmas(mu, sigma)
    for alpha in alphas:
        edge = float(alpha)
        right = own.argmin(1) == truth
        held = (unit(own) <= edge)[torch.arange(len(truth)), truth]
        rows.append(
            {
                "alpha": edge,
                "paper_accuracy": _share(right & _inside(own, mu, sigma, edge)),
                "paper_accepted": _share(~_inside(foreign, mu, sigma, edge)),
                "claim_accuracy": _share(held),
                "claim_accepted": _share(~(unit(foreign) <= edge).any(1)),
            }
        )
    return rows


def adversary(
    users: EnrolledUsers,
    train: Sequence[Rows],
    tests: Sequence[Tensor],
    training: OneClassConfig,
    settings: Mapping[str, Any],
    *,
    seed: int,
) -> dict[str, Any]:
    """Fig. 4: blocked share of stolen images, adversary x victim, by rule and kind of adversary.

    `stolen_blocked` is of adversaries who choose their kind for each victim on stolen images that
    they held out, `bound` of those who knew which would work. -1 marks pairs that were not tried.
    """
    pairs = all_pairs(len(users))[:: settings["stride"]]
    kinds = [AttackerConfig(**kind) for kind in settings["kinds"]]
    bands = [all_attackers(users, train, pairs, kind, training, seed=seed) for kind in kinds]
    found: dict[str, Any] = {}
    for name, rule in settings["rules"].items():
        setting = Setting(**rule)
        finding = poison(users, tests, pairs, bands, setting, seed=seed)
        details = finding.details
        assert isinstance(details, PoisonDetails)
        kept = owners_kept(users, tests, setting, seed=seed)
        found[name] = {
            "setting": asdict(details.setting),
            "owners_kept": fmean(kept.tolist()),
            "owners_kept_per_class": [round(v, 4) for v in kept.tolist()],
            "best": asdict(details.best),
            "bound": asdict(details.bound),
            "strongest": details.strongest,
            "stolen_blocked": 1 - finding.value,
            "stolen_blocked_interval": [1 - v for v in reversed(finding.interval)],
            "blocked_without_theft": 1 - finding.floor,
            "kinds": {name: asdict(kind) for name, kind in details.kinds.items()},
        }
    return found


def trade(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what each rule of `adversary` blocks and keeps, as one table."""
    keys = ("stolen_blocked", "owners_kept")
    return [
        {"rule": name}
        | {key: round(rule[key], 4) for key in keys}
        | {key: rule["best"][key] for key in ("worst", "under_90")}
        for name, rule in found.items()
    ]


def errors_of(users: EnrolledUsers, images: Sequence[Tensor]) -> tuple[Errors, Truth]:
    """Return the errors of every class's images in every autoencoder, with the true classes."""
    truth = [torch.full((len(x),), c) for c, x in enumerate(images)]
    return torch.cat([scores(users.net, x) for x in images]), torch.cat(truth)


def _inside(errors: Errors, mu: Tensor, sigma: Tensor, alpha: float) -> Tensor:
    winner = errors.argmin(1, keepdim=True)
    inside: Tensor = Sigmas(mu, sigma)(errors).gather(1, winner)[:, 0].abs() <= alpha
    return inside


def _share(mask: Tensor) -> float:
    return float(mask.double().mean())
