"""Open-set matching: do two releases show the same person, whom the adversary never saw?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torchmetrics.functional.classification import binary_roc

from sfumato.attack.tools.learners import LearnerConfig
from sfumato.attack.tools.matchers import (
    Embed,
    Matcher,
    pair_scores,
    pairs,
    separation,
    train_matchers,
    used_matchers,
)
from sfumato.attack.tools.read import View, holdout, read
from sfumato.attack.tools.scores import (
    area,
    draw_weights,
    interval,
    weighted_area,
)
from sfumato.data.imageset import MISSING
from sfumato.errors import DataError
from sfumato.intervals import wilson_interval
from sfumato.types import Attack, Details, Finding, Knowledge, Releases, RocCurve, ask

_FARS = (1e-3, 1e-2, 1e-1)
_CURVE_POINTS = 101
_DRAWS = 200  # each sorts nothing anew, but passes over every pair
_CHANCE = 0.5
_LEAST_PEOPLE = 4
_HELD_PEOPLE = 0.3  # share of the adversary's people on whom its matchers are validated


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationDetails(Details):
    """What verification reports beside its figure."""

    kind: ClassVar[str] = "verify"
    values: tuple[float, ...]
    """The figure of each seed."""
    genuine_pairs: int
    impostor_pairs: int
    tar: Mapping[str, float]
    """True acceptance rate by false acceptance rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationAttack(Attack):
    """Scores pairs of victims' releases; the area under the ROC curve is the figure.

    Matchers (cosine, discriminant analysis, a network) learn on the adversary's own people; the
    one that separates their held-out people best is used. The floor is 0.5. `details` has the
    true acceptance rate at several false acceptance rates, and the curve.
    """

    identity: str
    """The label that names people."""
    seeds: tuple[int, ...] = (0,)
    config: LearnerConfig = field(default_factory=LearnerConfig)
    view: View = "numbers"
    name: str = "verify"

    def reads(self) -> tuple[str, ...]:
        """Return the labels that both sides need."""
        return (self.identity,)

    def run(self, victim: Releases, knowledge: Knowledge) -> Finding:
        """Match victims with each other. The ceiling is 1 until an audit measures it.

        Raises:
            DataError: no two victims' releases are of one person, or all are.
        """
        people = victim.labels[self.identity]
        own = read(ask(knowledge.query, knowledge.images), self.view)
        hidden = read(victim.tensor, self.view)
        known = knowledge.labels[self.identity]
        named = known != MISSING
        genuine, impostor = pairs(_named(people))
        if not len(genuine) or not len(impostor):
            raise DataError("verification needs two victims, and two images of one of them")
        runs = [
            (m, pair_scores(m.embed(hidden), genuine), pair_scores(m.embed(hidden), impostor))
            for m in (self._matcher(own[named], known[named], seed) for seed in self.seeds)
        ]
        areas = [area(g, i) for _, g, i in runs]
        low, high = _interval(runs, people, genuine, impostor)
        return Finding(
            attack=self.name,
            protector=victim.protector,
            metric="auc",
            value=sum(areas) / len(areas),
            floor=_CHANCE,
            ceiling=1.0,
            interval=(low, high),
            seeds=self.seeds,
            details=VerificationDetails(
                trained=used_matchers([m for m, _, _ in runs], self.seeds),
                values=tuple(areas),
                genuine_pairs=len(genuine),
                impostor_pairs=len(impostor),
                tar={f"{far:g}": tar_at_far(runs[0][1], runs[0][2], far) for far in _FARS},
                roc=curve(runs[0][1], runs[0][2]),
            ),
        )

    def _matcher(self, rows: Float[Tensor, "n *shape"], people: Tensor, seed: int) -> Matcher:
        if len(people.unique()) < _LEAST_PEOPLE:
            raise DataError(
                f"the adversary needs {_LEAST_PEOPLE} people to learn to match, got "
                f"{len(people.unique())}"
            )
        train, check = holdout(
            len(rows), max(self.config.validation, _HELD_PEOPLE), groups=people, seed=seed
        )
        if not len(pairs(people[check])[0]) or len(people[check].unique()) < 2:
            raise DataError("the adversary needs two images each of more of its people")

        def validated(embed: Embed) -> float:
            return separation(embed(rows[check]), people[check])

        matchers = train_matchers(rows[train], people[train], validated, self.config, seed=seed)
        return max(matchers, key=lambda m: m.validated)


def tar_at_far(genuine: Float[Tensor, "g"], impostor: Float[Tensor, "i"], far: float) -> float:
    """Return the share of genuine scores above the threshold that `far` of impostors pass.

    With fewer than 1 / far impostor scores the threshold is above every one of them.
    """
    allowed = int(far * len(impostor))
    threshold = impostor.sort(descending=True).values[allowed]
    return float((genuine > threshold).float().mean())


def curve(genuine: Float[Tensor, "g"], impostor: Float[Tensor, "i"]) -> RocCurve:
    """Return the ROC curve at evenly spaced true acceptance rates, for a picture."""
    truth = torch.cat([torch.ones(len(genuine)), torch.zeros(len(impostor))]).long()
    scores = (torch.cat([genuine, impostor]) + 1) / 2
    far, tar, _ = binary_roc(scores, truth)
    picks = torch.linspace(0, len(far) - 1, min(_CURVE_POINTS, len(far))).long()
    return RocCurve(far=tuple(far[picks].tolist()), tar=tuple(tar[picks].tolist()))


def _interval(
    runs: list[tuple[Matcher, Tensor, Tensor]],
    people: Int64[Tensor, "n"],
    genuine: Int64[Tensor, "g 2"],
    impostor: Int64[Tensor, "i 2"],
) -> tuple[float, float]:
    """Draw people anew: a pair counts as often as both of its people were drawn."""
    weights = draw_weights(len(people), groups=people, draws=_DRAWS)
    picks = torch.randint(len(runs), (_DRAWS,), generator=torch.Generator().manual_seed(0))

    def statistic(drawn: Float[Tensor, "draws n"]) -> Float[Tensor, "draws"]:
        values = []
        for row, pick in zip(drawn, picks.tolist(), strict=True):
            g = row[genuine[:, 0]]  # one person: drawn twice, the pair counts twice, not four times
            i = row[impostor[:, 0]] * row[impostor[:, 1]]
            values.append(weighted_area(runs[pick][1], runs[pick][2], g[None], i[None]))
        return torch.cat(values).float()

    low, high = interval(statistic, weights)
    # Equal scores of all pairs are equal in every draw of people, but not of other people.
    mean = sum(area(g, i) for _, g, i in runs) / len(runs)
    least = wilson_interval(mean, len(genuine.unique()))
    return min(low, least[0]), max(high, least[1])


def _named(people: Int64[Tensor, "n"]) -> Int64[Tensor, "n"]:
    """Give every victim without a name a person of their own."""
    unnamed = people == MISSING
    return torch.where(unnamed, -2 - torch.arange(len(people)), people)
