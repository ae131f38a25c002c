"""Name a person by several releases that are known to be of one person.

Each release may say next to nothing; many of one person add up. The adversary learns from labelled
releases as the attribute attack does, and multiplies what each release of a group says of each
person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from sfumato.attack.attributes import AttributeAttack, TrainedClassifiers
from sfumato.attack.tools.learners import Candidate, LearnerConfig
from sfumato.attack.tools.read import holdout
from sfumato.attack.tools.scores import share_interval
from sfumato.data.imageset import MISSING
from sfumato.errors import ConfigError
from sfumato.intervals import wilson_interval
from sfumato.types import Attack, Details, Finding, Knowledge, Releases, Trained, ask

_DRAWS = 20  # groups of each person


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDetails(Details):
    """What a group attack reports beside its figure."""

    kind: ClassVar[str] = "groups"
    victims: int
    """Values, such as people, of whom groups were drawn."""
    size: int
    by_size: Mapping[str, float]
    """The accuracy by size of group, up to all releases of each value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupAttack(Attack):
    """Names the value of a label that all releases of a group share.

    The figure is accuracy, every person counting the same; its floor is a guess, or what the known
    labels of a group say without any release. `details` has
    the accuracy by size of group, up to all releases of each person.

    Raises:
        ConfigError: the size is below 1, or there is no seed.
    """

    label: str
    """What to name: a person."""
    size: int = 10
    """Releases known to be of one person; of who has fewer, all."""
    known: tuple[str, ...] = ()
    """Labels that are released along with the pictures."""
    seeds: tuple[int, ...] = (0,)
    config: LearnerConfig = field(default_factory=LearnerConfig)
    name: str = "groups"

    def __post_init__(self) -> None:
        if self.size < 1 or not self.seeds:
            raise ConfigError(f"a group attack needs a size from 1 and a seed, got {self.size}")

    @property
    def _reading(self) -> AttributeAttack:
        return AttributeAttack(
            attributes=(self.label,), known=self.known, seeds=self.seeds, config=self.config
        )

    def unfit(self, victim: Releases, knowledge: Knowledge) -> str | None:
        """Say why the attack has no meaning here, or None."""
        return self._reading.unfit(victim, knowledge)

    def reads(self) -> tuple[str, ...]:
        """Return the labels that both sides need."""
        return (self.label,)

    def run(self, victim: Releases, knowledge: Knowledge) -> Finding:
        """Learn from single releases, then name the victims' groups.

        Raises:
            DataError: the label is missing or has one value only.
        """
        trained = self._reading.learn(knowledge)
        own = replace(
            victim,
            tensor=ask(knowledge.query, knowledge.images),
            images=knowledge.images,
            labels=knowledge.labels,
        )
        chosen = [
            self._best(candidates, trained.rows(own, "numbers"), knowledge, seed)
            for candidates, seed in zip(trained.runs, self.seeds, strict=True)
        ]
        return self._finding(victim, trained, chosen, self._floor(victim, knowledge, trained))

    def _best(
        self,
        candidates: list[Candidate],
        rows: Float[Tensor, "n *shape"],
        knowledge: Knowledge,
        seed: int,
    ) -> Candidate:
        """Return the learner that names groups of the adversary's held-out releases best."""
        check = holdout(len(rows), self.config.validation, groups=None, seed=seed)[1]
        truth = knowledge.labels[self.label][check]

        def reached(candidate: Candidate) -> tuple[float, float]:
            right, _ = named_groups(
                candidate.scores(rows[check])[self.label], truth, self.size, seed=seed
            )
            return float(right.float().mean()), candidate.validated.get(self.label, 0.0)

        return max(candidates, key=reached)

    def _floor(
        self, victim: Releases, knowledge: Knowledge, trained: TrainedClassifiers
    ) -> tuple[float, tuple[float, float] | None]:
        """Return how many groups are named by their known labels alone, or by a guess.

        A guess is known exactly; what known labels say is measured, and has an interval.
        """
        truth = victim.labels[self.label]
        guess = 1 / len(truth[truth != MISSING].unique())
        if not self.known:
            return guess, None
        scores = trained.known.alone(knowledge.labels, victim.labels, self.label)
        right, people = named_groups(scores, truth, self.size, seed=self.seeds[0])
        value = float(right.float().mean())
        return (value, over_people(right[None], people)) if value > guess else (guess, None)

    def _finding(
        self,
        victim: Releases,
        trained: TrainedClassifiers,
        chosen: list[Candidate],
        floor: tuple[float, tuple[float, float] | None],
    ) -> Finding:
        rows, truth = trained.rows(victim, "numbers"), victim.labels[self.label]
        scores = [candidate.scores(rows)[self.label] for candidate in chosen]
        runs = [
            named_groups(each, truth, self.size, seed=seed)
            for each, seed in zip(scores, self.seeds, strict=True)
        ]
        right, people = torch.stack([hit for hit, _ in runs]), runs[0][1]
        return Finding(
            attack=self.name,
            protector=victim.protector,
            metric="accuracy",
            value=float(right.float().mean()),
            floor=floor[0],
            ceiling=1.0,
            interval=over_people(right, people),
            seeds=self.seeds,
            floor_interval=floor[1],
            details=GroupDetails(
                victims=len(people.unique()),
                size=self.size,
                by_size=self._by_size(scores, truth),
                trained=tuple(
                    Trained(
                        learner=one.learner,
                        seed=seed,
                        validated=one.validated.get(self.label),
                        training=one.training,
                    )
                    for one, seed in zip(chosen, self.seeds, strict=True)
                ),
            ),
        )

    def _by_size(
        self, scores: list[Float[Tensor, "n classes"]], truth: Int64[Tensor, "n"]
    ) -> Mapping[str, float]:
        most = int(torch.bincount(truth[truth != MISSING]).max())
        sizes = sorted({1, min(self.size, most), min(4 * self.size, most), most})
        found = {}
        for size in sizes:
            hits = [
                named_groups(each, truth, size, seed=seed)[0]
                for each, seed in zip(scores, self.seeds, strict=True)
            ]
            found[str(size)] = float(torch.cat(hits).float().mean())
        return found


def over_people(
    right: Bool[Tensor, "runs groups"], people: Int64[Tensor, "groups"]
) -> tuple[float, float]:
    """Return the interval over people: never narrower than Wilson's of so many.

    A person's groups are drawn from the same releases, so that twenty of them may be one trial.
    """
    everyone = torch.zeros(len(people), dtype=torch.int64)
    low, high = share_interval(right.float(), everyone, groups=people)
    least = wilson_interval(float(right.float().mean()), len(people.unique()))
    return min(low, least[0]), max(high, least[1])


def named_groups(
    scores: Float[Tensor, "n classes"], truth: Int64[Tensor, "n"], size: int, *, seed: int
) -> tuple[Bool[Tensor, "groups"], Int64[Tensor, "groups"]]:
    """Name groups of `size` rows of each value, 20 drawn of each; return hits, and the values.

    `scores` are log-probabilities of each class by row, for classes that are equally frequent.
    """
    generator = torch.Generator().manual_seed(seed)
    hits, values = [], []
    for value in truth[truth != MISSING].unique().tolist():
        rows = (truth == value).nonzero().squeeze(1)
        for _ in range(_DRAWS):
            drawn = rows[torch.randperm(len(rows), generator=generator)[:size]]
            hits.append(int(scores[drawn].sum(0).argmax()) == value)
            values.append(value)
    return torch.tensor(hits), torch.tensor(values)
