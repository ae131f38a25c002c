"""Closed-set identification: which of the people the adversary knows does a release show?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from sfumato.attack.tools.learners import LearnerConfig
from sfumato.attack.tools.matchers import (
    Embed,
    Matcher,
    similarities,
    train_matchers,
    used_matchers,
)
from sfumato.attack.tools.naming import naming
from sfumato.attack.tools.read import View, holdout, read
from sfumato.data.imageset import MISSING
from sfumato.errors import DataError
from sfumato.types import Attack, Details, Finding, Knowledge, Releases, ask

_RANKS = (1, 5, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityDetails(Details):
    """What closed-set identification reports beside its figure."""

    kind: ClassVar[str] = "reidentify"
    values: tuple[float, ...]
    """The figure of each seed."""
    ranks: Mapping[str, float]
    """How often the right person is among the first 1, 5, 10."""
    people: int
    """In the gallery."""
    unknown_victims: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReidentificationAttack(Attack):
    """Looks up victims' releases in a gallery of the adversary's labelled ones.

    A person's score is that of their nearest gallery release, under the matcher that is best on
    images the adversary held out. The figure is rank-1 accuracy; the floor names the person of
    whom the gallery has most. Victims whom the gallery does not know are left out (and counted).
    """

    identity: str
    """The label that names people."""
    seeds: tuple[int, ...] = (0,)
    config: LearnerConfig = field(default_factory=LearnerConfig)
    view: View = "numbers"
    name: str = "reidentify"

    def unfit(self, victim: Releases, knowledge: Knowledge) -> str | None:
        """Say why the attack has no meaning here, or None."""
        known = knowledge.labels[self.identity]
        if bool(torch.isin(victim.labels[self.identity], known[known != MISSING]).any()):
            return None
        return "the adversary knows none of the victims by name; verification needs no name"

    def reads(self) -> tuple[str, ...]:
        """Return the labels that both sides need."""
        return (self.identity,)

    def run(self, victim: Releases, knowledge: Knowledge) -> Finding:
        """Name the victims. The ceiling is 1 until an audit measures it.

        Raises:
            DataError: the gallery knows none of the victims.
        """
        people, truth = knowledge.labels[self.identity], victim.labels[self.identity]
        named = people != MISSING
        gallery = people[named]
        within = torch.isin(truth, gallery) & (truth != MISSING)
        if not bool(within.any()):
            raise DataError("closed-set identification: none of the victims is in the gallery")
        own = read(ask(knowledge.query, knowledge.images), self.view)[named]
        hidden = read(victim.tensor, self.view)[within]
        matchers = [self._matcher(own, gallery, seed) for seed in self.seeds]
        ranks = [
            rank(similarities(m.embed(hidden), m.embed(own)), gallery, truth[within])
            for m in matchers
        ]
        hits = (torch.stack(ranks) == 1).float()
        return naming(
            self.name,
            victim.protector,
            "rank1_accuracy",
            hits=hits,
            guessed=truth[within] == gallery.mode().values,
            seeds=self.seeds,
            groups=truth[within],
            details=IdentityDetails(
                trained=used_matchers(matchers, self.seeds),
                values=tuple(float((r == 1).float().mean()) for r in ranks),
                ranks={str(k): float((torch.cat(ranks) <= k).float().mean()) for k in _RANKS},
                people=len(gallery.unique()),
                unknown_victims=int((~within).sum()),
            ),
        )

    def _matcher(
        self, rows: Float[Tensor, "n *shape"], people: Int64[Tensor, "n"], seed: int
    ) -> Matcher:
        train, check = holdout(len(rows), self.config.validation, groups=None, seed=seed)

        def validated(embed: Embed) -> float:
            scores = similarities(embed(rows[check]), embed(rows[train]))
            return float((rank(scores, people[train], people[check]) == 1).float().mean())

        matchers = train_matchers(rows[train], people[train], validated, self.config, seed=seed)
        return max(matchers, key=lambda m: m.validated)


def rank(
    scores: Float[Tensor, "n m"], gallery: Int64[Tensor, "m"], truth: Int64[Tensor, "n"]
) -> Int64[Tensor, "n"]:
    """Return at which place among the gallery's people each probe's true person comes, from 1.

    Ties go against the adversary; a person who is not in the gallery comes after all.
    """
    people, place = gallery.unique(return_inverse=True)
    best = torch.full((len(scores), len(people)), -torch.inf)
    best.scatter_reduce_(1, place.expand(len(scores), -1), scores, "amax")
    is_true: Bool[Tensor, "n k"] = people == truth[:, None]
    own = torch.where(is_true, best, -torch.inf).amax(1)
    return ((best >= own[:, None]) & ~is_true).sum(1) + 1
