"""Attack 1 of the paper `shufflebits`: read labels (sex, glasses, writer ...) off releases."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sfumato.attack.tools.known import Known
from sfumato.attack.tools.learners import Candidate, LearnerConfig, train_all
from sfumato.attack.tools.read import Standard, View, holdout, read
from sfumato.attack.tools.scores import balanced_accuracy, share_interval
from sfumato.data.imageset import MISSING
from sfumato.errors import ConfigError, DataError
from sfumato.types import (
    Attack,
    Details,
    Finding,
    Knowledge,
    Labels,
    Releases,
    Trained,
    Training,
    ask,
)


@dataclass(frozen=True, slots=True)
class TrainedClassifiers:
    """What an attribute attack has learned: candidates of each seed, and how to feed them."""

    standard: Standard
    shape: tuple[int, ...]
    known: Known
    own: Labels
    """The adversary's own labels, by which known labels alone are read."""
    runs: tuple[list[Candidate], ...]

    def rows(self, victim: Releases, view: View) -> Float[Tensor, "n *shape"]:
        """Return the victims' releases, and their known labels, as the classifiers take them.

        Raises:
            DataError: the releases have another shape than those that the classifiers learned on.
        """
        hidden = read(victim.tensor, view)
        if hidden.shape[1:] != self.shape:
            raise DataError(
                f"the adversary trained on rows of shape {self.shape} but intercepts "
                f"{tuple(hidden.shape[1:])}; train on releases, not on what is inside"
            )
        return self.known.joined(self.standard(hidden), victim.labels)

    def floor(
        self, victim: Releases, name: str, groups: Int64[Tensor, "n"] | None
    ) -> tuple[float, tuple[float, float] | None]:
        """Return how well a label is named without any release: by a guess, or by known labels.

        A guess is known exactly; what known labels say is measured, and has an interval.
        """
        truth = victim.labels[name]
        there = truth != MISSING
        guess = 1 / len(truth[there].unique())
        if not self.known.sizes:
            return guess, None
        named = self.known.alone(self.own, victim.labels, name).argmax(1)
        value = balanced_accuracy(named, truth)
        if value <= guess:
            return guess, None
        right = (named == truth)[there].float()[None]
        return value, share_interval(
            right, truth[there], groups=None if groups is None else groups[there]
        )


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One candidate's guesses at one attribute of the victims."""

    learner: str
    seed: int
    validated: float
    chosen: bool
    predicted: Int64[Tensor, "m"]
    training: Training | None

    def trained(self, truth: Int64[Tensor, "m"]) -> Trained:
        return Trained(
            learner=self.learner,
            seed=self.seed,
            validated=self.validated,
            chosen=self.chosen,
            value=balanced_accuracy(self.predicted, truth),
            training=self.training,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeDetails(Details):
    """What an attribute attack reports beside its figure."""

    kind: ClassVar[str] = "attributes"
    attribute: str
    victims: int
    majority_accuracy: float
    """What naming the most frequent value alone gets, unbalanced."""
    values: tuple[float, ...]
    """The figure of each seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeAttack(Attack):
    """Trains classifiers on the adversary's own releases and applies the best to the victims'.

    The best learner and restart of each seed is chosen on the adversary's own held-out data, as
    a real adversary must. The figure is balanced accuracy; its floor is what is named without any
    release: by a guess, 1 / number of classes, or by the known labels.

    Raises:
        ConfigError: no attribute or no seed is given.
    """

    attributes: tuple[str, ...]
    """Labels to read; `run` takes exactly one, `findings` any number."""
    seeds: tuple[int, ...] = (0,)
    config: LearnerConfig = field(default_factory=LearnerConfig)
    view: View = "numbers"
    group: str | None = None
    """Label (identity) that keeps one person's images on one side of the adversary's own split,
    and by which victims are resampled for the interval."""
    known: tuple[str, ...] = ()
    """Labels that are released along with the pictures, which the adversary reads as well."""
    name: str = "attributes"

    def __post_init__(self) -> None:
        if not self.attributes or not self.seeds:
            raise ConfigError("an attribute attack needs an attribute and a seed at least")
        if set(self.known) & set(self.attributes):
            raise ConfigError(f"known labels need no attack, got {', '.join(self.known)}")

    def unfit(self, victim: Releases, knowledge: Knowledge) -> str | None:
        """Say why the attack has no meaning here, or None."""
        if self.view == "popcounts" and knowledge.query_plain is None:
            return (
                "this release is not encrypted: its numbers are read as they are, and counting "
                "their bits adds nothing"
            )
        for name in self.known:
            if not (name in victim.labels and name in knowledge.labels):
                return f"no label {name} is released along with the pictures"
        for name in self.attributes:
            sides = [
                set(side.labels[name].tolist()) - {MISSING}
                for side in (victim, knowledge)
                if name in side.labels
            ]
            if len(sides) == 2 and not sides[0] & sides[1]:
                return (
                    f"no {name} is on both sides, so there is nobody to name; verification answers "
                    "who can be told apart"
                )
        return None

    def reads(self) -> tuple[str, ...]:
        """Return the labels that both sides need."""
        return self.attributes

    def unprotected(self) -> AttributeAttack:
        """Return the attack on an unprotected release: reading its numbers beats counting bits."""
        return replace(self, view="numbers")

    def run(self, victim: Releases, knowledge: Knowledge) -> Finding:
        """Read the one attribute; see `findings`."""
        if len(self.attributes) != 1:
            raise ConfigError(f"run reads one attribute, got {self.attributes}; use findings")
        return self.findings(victim, knowledge)[self.attributes[0]]

    def findings(self, victim: Releases, knowledge: Knowledge) -> dict[str, Finding]:
        """Read every attribute; one finding each. The ceiling is 1 until an audit measures it.

        Raises:
            DataError: an attribute is missing, has one value only, or nobody is labelled.
        """
        return self.apply(self.learn(knowledge), victim)

    def learn(self, knowledge: Knowledge) -> TrainedClassifiers:
        """Train on what the adversary has; the same classifiers may be applied to many releases.

        Raises:
            DataError: an attribute is missing or has one value only.
        """
        for name in self.attributes:
            _check(name, knowledge.labels, "the adversary")
        raw = read(ask(knowledge.query, knowledge.images), self.view)
        standard = Standard.of(raw)
        known = Known.of(self.known, knowledge.labels)
        rows = known.joined(standard(raw), knowledge.labels)
        groups = knowledge.labels.get(self.group) if self.group else None
        targets = {name: knowledge.labels[name] for name in self.attributes}
        runs = []
        for seed in self.seeds:
            held = holdout(len(rows), self.config.validation, groups=groups, seed=seed)
            runs.append(train_all(rows, targets, held, self.config, seed=seed))
        return TrainedClassifiers(
            standard, tuple(raw.shape[1:]), known, knowledge.labels, tuple(runs)
        )

    def apply(self, trained: TrainedClassifiers, victim: Releases) -> dict[str, Finding]:
        """Read the victims' attributes and score them; one finding each.

        Raises:
            DataError: an attribute is missing or has one value only, or the releases have another
                shape than those that the classifiers learned on.
        """
        for name in self.attributes:
            _check(name, victim.labels, "the victims")
        rows = trained.rows(victim, self.view)
        return {
            name: self._finding(
                name,
                victim,
                [
                    _attempts(name, candidates, rows, seed)
                    for candidates, seed in zip(trained.runs, self.seeds, strict=True)
                ],
                trained.floor(victim, name, self._groups(victim)),
            )
            for name in self.attributes
        }

    def _groups(self, victim: Releases) -> Int64[Tensor, "n"] | None:
        return victim.labels.get(self.group) if self.group else None

    def _finding(
        self,
        name: str,
        victim: Releases,
        runs: list[list[_Attempt]],
        floor: tuple[float, tuple[float, float] | None],
    ) -> Finding:
        truth = victim.labels[name]
        known = truth != MISSING
        groups = self._groups(victim)
        correct = torch.stack([(_chosen(run) == truth)[known] for run in runs]).float()
        values = [balanced_accuracy(_chosen(run), truth) for run in runs]
        return Finding(
            attack=self.name,
            protector=victim.protector,
            metric="balanced_accuracy",
            value=sum(values) / len(values),
            floor=floor[0],
            ceiling=1.0,
            interval=share_interval(
                correct, truth[known], groups=None if groups is None else groups[known]
            ),
            seeds=self.seeds,
            floor_interval=floor[1],
            details=AttributeDetails(
                attribute=name,
                victims=int(known.sum()),
                majority_accuracy=_majority(truth[known]),
                values=tuple(values),
                trained=tuple(attempt.trained(truth) for run in runs for attempt in run),
            ),
        )


def _attempts(
    name: str, candidates: list[Candidate], hidden: Float[Tensor, "m *shape"], seed: int
) -> list[_Attempt]:
    """Apply every candidate to the victims; which one counts was settled without them."""
    best = max(candidates, key=lambda c: c.validated.get(name, 0.0))
    return [
        _Attempt(
            c.learner,
            seed,
            c.validated.get(name, 0.0),
            c is best,
            c.predict(hidden)[name],
            c.training,
        )
        for c in candidates
    ]


def _chosen(attempts: list[_Attempt]) -> Int64[Tensor, "m"]:
    return next(attempt.predicted for attempt in attempts if attempt.chosen)


def _majority(truth: Int64[Tensor, "n"]) -> float:
    return float(torch.bincount(truth).max() / len(truth))


def _check(name: str, labels: Labels, who: str) -> None:
    if name not in labels:
        known = ", ".join(sorted(labels)) or "none"
        raise DataError(f"{who} have no label {name!r}; they have: {known}")
    values = labels[name][labels[name] != MISSING]
    if len(values.unique()) < 2:
        raise DataError(f"{who}: {name!r} needs two values at least to be worth guessing")
