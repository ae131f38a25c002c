"""Was this picture enrolled? What the platform tells from an enrollment, by the strongest attack.

The platform has the enrollment file, candidates, other pictures of the same person, and knows how
devices train. It looks at a candidate's reconstruction error, at the mean error of views of it, and
with the code statistics at how far the candidate's code lies from the mean code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sfumato.attack.on_filter.member_scores import (
    calibrated,
    likelihood_ratio,
    offline_ratio,
    threshold,
)
from sfumato.attack.on_filter.shadows import Pool, Shadows, net_codes, net_errors, train_shadows
from sfumato.attack.tools.scores import area
from sfumato.device import Device
from sfumato.filter.oneclass import OneClassConfig
from sfumato.progress import track
from sfumato.types import Details

FALSE_POSITIVES = 0.01
_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Told:
    """How surely one attack tells members, a value a user."""

    auc: tuple[float, ...]
    tpr: tuple[float, ...]
    """Share of members named where 1 % of the others are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolledDetails(Details):
    """What telling enrolled pictures from others reports beside its figure."""

    kind: ClassVar[str] = "enrolled"
    strongest: str
    """The attack that counts."""
    auc: Mapping[str, float]
    """Every attack's area, the mean over users."""
    tpr: Mapping[str, float]
    """Its share of members named where 1 % of the others are."""
    victims: tuple[float, ...]
    """The strongest attack's area for each user."""


def attack_membership(
    pools: Sequence[Pool],
    config: OneClassConfig,
    *,
    shadows: int,
    statistics: bool = True,
    seed: int,
    device: Device = "cpu",
) -> dict[str, Told]:
    """Attack every user with every attack; each of a user's shadows is the victim in turn.

    `threshold`: the error. `calibrated`: less the picture's difficulty. `offline`: in deviations
    of it. `likelihood`: the shadow-model attack. `code`: the code's distance, calibrated, where the
    platform has the code statistics; then `likelihood` uses them too.

    Raises:
        DataError: a pool has fewer than four pictures.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    for i, pool in enumerate(track(pools, "shadows of enrollments")):
        trained = train_shadows(pool, config, shadows, seed=seed + 1000 * i, device=device)
        scores = member_scores(observed(trained, pool, statistics=statistics), trained.member)
        for name, score in scores.items():
            found.setdefault(name, []).append(judged(score, trained.member))
    return {name: _told(values) for name, values in found.items()}


def strongest(found: Mapping[str, Told]) -> str:
    """Return the attack of the largest mean area."""
    return max(found, key=lambda name: sum(found[name].auc))


def observed(shadows: Shadows, pool: Pool, *, statistics: bool) -> dict[str, Float[Tensor, "k p"]]:
    """Return the logarithms of what the platform sees of each candidate, under each enrollment."""
    every = range(len(shadows.member))
    seen = {"error": [net_errors(shadows.net, k, pool.features) for k in every]}
    if pool.queries is not None:
        seen["views"] = [net_errors(shadows.net, k, pool.queries).mean(1) for k in every]
    if statistics:
        seen["code"] = [_code_distance(shadows, k, pool.features) for k in every]
    return {name: torch.stack(rows).clamp(min=_TINY).log() for name, rows in seen.items()}


def member_scores(
    seen: Mapping[str, Float[Tensor, "k p"]], member: Bool[Tensor, "k p"]
) -> dict[str, Float[Tensor, "k p"]]:
    """Return each attack's score of each candidate, under each enrollment as the victim."""
    error = seen["error"]
    found = {
        "threshold": threshold(error),
        "calibrated": calibrated(error, member),
        "offline": offline_ratio(error, member),
        "likelihood": likelihood_ratio(error[..., None], member),
    }
    for name in seen.keys() - {"error"}:
        found[f"{name}, calibrated"] = calibrated(seen[name], member)
    if len(seen) > 1:
        found["likelihood, all"] = likelihood_ratio(torch.stack(list(seen.values()), -1), member)
    return found


def judged(score: Float[Tensor, "k p"], member: Bool[Tensor, "k p"]) -> tuple[float, float]:
    """Return area and true positives at 1 % false ones, over all victims of one pool together."""
    inside, outside = score[member], score[~member]
    limit = outside.quantile(1 - FALSE_POSITIVES, interpolation="higher")
    return area(inside, outside), float((inside > limit).double().mean())


def _told(values: Sequence[tuple[float, float]]) -> Told:
    return Told(tuple(area for area, _ in values), tuple(share for _, share in values))


def _code_distance(shadows: Shadows, k: int, x: Float[Tensor, "p d"]) -> Float[Tensor, " p"]:
    """Return the squared Mahalanobis distance of each code from the mean code."""
    away = net_codes(shadows.net, k, x) - shadows.code_mean[k]
    far: Tensor = (away @ shadows.code_precision[k] * away).sum(1)
    return far
