"""Attacks on the upload filter as an audit runs them, on whatever features a protector releases.

Every value of a label is a user, who enrolls one half of their releases and uploads the other. What
is measured is the filter behind these features: who gets stolen pictures shared, and what the
platform can draw out of the enrollments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.attack.on_filter.attacker import AttackerConfig
from sfumato.attack.on_filter.enrollment_leak import Evidence, LeakDetails, enrollment_leak
from sfumato.attack.on_filter.membership import EnrolledDetails, attack_membership, strongest
from sfumato.attack.on_filter.poison import (
    PoisonDetails,
    Setting,
    all_attackers,
    all_pairs,
    poison,
)
from sfumato.attack.on_filter.shadows import Pool
from sfumato.attack.tools.scores import mean_interval
from sfumato.data.imageset import MISSING
from sfumato.device import Device
from sfumato.filter.enrolled import EnrolledUsers, enroll_all
from sfumato.filter.oneclass import OneClassConfig
from sfumato.intervals import wilson_interval
from sfumato.types import Attack, Finding, Knowledge, Releases, ask

ATTACKERS = (
    AttackerConfig(),
    AttackerConfig(evasion=0.03),
    AttackerConfig(evasion=0.1),
    AttackerConfig(mode="separate"),
    AttackerConfig(mode="separate", evasion=0.01),
    AttackerConfig(mode="separate", evasion=0.02),
    AttackerConfig(mode="separate", evasion=0.05),
)
"""Of own and stolen pictures, or of stolen ones alone; without the screening in mind, and with it.

The weak evasions were the strongest attackers of digits under our own training; which one works
differs from victim to victim.
"""

_FOLDS = 4  # of an enrollment's cross-fit
_LEAST = 2 * _FOLDS  # releases of a user
_MOST_USERS = 10
_MOST_PAIRS = 12  # attackers of each kind; each is a training

Figure = Literal["mean", "pictures"]
_METRICS = {"mean": "cosine similarity", "pictures": "share explained"}


@dataclass(frozen=True, slots=True)
class _Users:
    """Users' features, one entry a user."""

    enrolled: list[Float[Tensor, "_ d"]]
    uploaded: list[Float[Tensor, "_ d"]]

    @classmethod
    def of(cls, victim: Releases, label: str, *, seed: int) -> _Users:
        """Return the users of whom there is most, each one's releases in halves, drawn."""
        truth, rows = victim.labels[label], victim.tensor.flatten(1).float()
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randperm(len(rows), generator=generator)
        each = [rows[drawn[truth[drawn] == value]] for value in _enough(victim, label)]
        halves = [features.tensor_split(2) for features in each]
        return cls([half[0] for half in halves], [half[1] for half in halves])


def _enough(victim: Releases, label: str) -> list[int]:
    truth = victim.labels[label]
    values, counts = truth[truth != MISSING].unique(return_counts=True)
    order = counts.argsort(descending=True, stable=True)
    return [int(values[i]) for i in order if int(counts[i]) >= _LEAST][:_MOST_USERS]


@dataclass(frozen=True, slots=True, kw_only=True)
class _OnUsers(Attack):
    """What the attacks share: releases of users who enroll one half and upload the other."""

    label: str
    """The label that names users."""
    seeds: tuple[int, ...] = (0,)
    training: OneClassConfig = field(default_factory=OneClassConfig)
    device: Device = "auto"
    learns = False  # on releases: it has the enrollments, or is one of the users
    own_ceiling = True

    def unfit(self, victim: Releases, knowledge: Knowledge) -> str | None:  # noqa: ARG002
        """Say why the attack has no meaning here, or None."""
        tensor = victim.tensor
        if not tensor.is_floating_point() or not bool(((tensor >= 0) & (tensor <= 1)).all()):
            return "the upload filter enrolls features in [0, 1], and this release is none"
        if len(_enough(victim, self.label)) < 2:
            return f"two users need {_LEAST} releases each of one {self.label} to enroll and upload"
        return None

    def reads(self) -> tuple[str, ...]:
        """Return the labels that both sides need."""
        return (self.label,)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoisonAttack(_OnUsers):
    """Users who have another's enrolled pictures enroll them too, and upload that user's others.

    The figure is the share of the victims' uploads that attackers get shared who choose their kind
    for each victim, on stolen pictures that they held out; the seed where it is most counts. The
    floor is what the same users get shared without stealing; the
    ceiling is what they get shared without a filter. An attacker has its own pictures and those
    that its victim enrolled.
    """

    setting: Setting = field(default_factory=Setting)
    attackers: tuple[AttackerConfig, ...] = ATTACKERS
    name: str = "poison"

    def run(self, victim: Releases, knowledge: Knowledge) -> Finding:  # noqa: ARG002
        """Enroll everybody, train the attackers, and count what they get shared."""
        return max((self._run(victim, seed) for seed in self.seeds), key=lambda f: f.value)

    def _run(self, victim: Releases, seed: int) -> Finding:
        users = _Users.of(victim, self.label, seed=seed)
        enrolled = _enrolled(users, self.training, self.device, seed=seed)
        pairs = _some(all_pairs(len(enrolled)))
        bands = [
            all_attackers(
                enrolled, users.enrolled, pairs, kind, self.training, seed=seed, device=self.device
            )
            for kind in self.attackers
        ]
        found = poison(enrolled, users.uploaded, pairs, bands, self.setting, seed=seed)
        assert isinstance(found.details, PoisonDetails)  # noqa: S101 - of its attack
        assert found.floor_interval is not None  # noqa: S101 - of its attack
        pictures = sum(len(users.uploaded[v]) for v in {v for _, v in pairs})
        return replace(
            found,
            attack=self.name,
            protector=victim.protector,
            interval=_wide(found.value, found.interval, pictures),
            floor_interval=_wide(found.floor, found.floor_interval, pictures),
            ceiling_interval=(1.0, 1.0),
            seeds=self.seeds,
        )


def _enrolled(
    users: _Users, training: OneClassConfig, device: Device, *, seed: int
) -> EnrolledUsers:
    return enroll_all(users.enrolled, training, folds=_FOLDS, seed=seed, device=device)


def _some(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return list(pairs[:: -(-len(pairs) // _MOST_PAIRS)])


def _wide(share: float, among: tuple[float, float], pictures: int) -> tuple[float, float]:
    """Return an interval among people, and never one narrower than Wilson's over pictures."""
    least = wilson_interval(share, pictures)
    return max(0.0, min(among[0], least[0])), min(1.0, max(among[1], least[1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrollmentAttack(_OnUsers):
    """Draws out of enrollments, with the code statistics of screening, what they were trained on.

    `mean`: cosine of the drawn and the true mean of a user's features, both less the public mean.
    `pictures`: share of enrolled features' distance to the public mean that drawn ones explain. The
    best seed counts. The floor needs no enrollment, the ceiling is having the features.
    """

    figure: Figure
    name: str = "enrollment"

    def run(self, victim: Releases, knowledge: Knowledge) -> Finding:
        """Enroll everybody, and draw; the adversary's own releases are the public features."""
        public = ask(knowledge.query, knowledge.images).flatten(1).float()
        return max((self._run(victim, public, seed) for seed in self.seeds), key=lambda f: f.value)

    def _run(self, victim: Releases, public: Float[Tensor, "p d"], seed: int) -> Finding:
        users = _Users.of(victim, self.label, seed=seed)
        enrolled = _enrolled(users, self.training, self.device, seed=seed)
        truth = Evidence(members=users.enrolled, public=public)
        every = {one.metric: one for one in enrollment_leak(enrolled, truth, seed=seed)}
        found = every[f"{self.figure}, with code statistics"]
        assert isinstance(found.details, LeakDetails)  # noqa: S101 - of its attack
        return replace(
            found,
            attack=self.name,
            protector=victim.protector,
            metric=_METRICS[self.figure],
            interval=mean_interval(torch.tensor(found.details.victims)[None]),
            ceiling_interval=(1.0, 1.0),
            seeds=self.seeds,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolledMembership(_OnUsers):
    """Tells which features of a user were enrolled, from the enrollment with its code statistics.

    The figure is the area under the curve of the strongest of the attacks of `attack_membership`,
    shadow enrollments among them; the best seed counts. Each shadow enrolls half of a user's
    releases and is the victim in turn. The floor is guessing, the ceiling having the features.
    """

    shadows: int = 8
    """Enrollments of each user."""
    name: str = "enrollment-membership"

    def run(self, victim: Releases, knowledge: Knowledge) -> Finding:  # noqa: ARG002
        """Let everybody enroll halves, and attack each with the others."""
        return max((self._run(victim, seed) for seed in self.seeds), key=lambda f: f.value)

    def _run(self, victim: Releases, seed: int) -> Finding:
        users = _Users.of(victim, self.label, seed=seed)
        halves = zip(users.enrolled, users.uploaded, strict=True)
        pools = [Pool(features=torch.cat(both)) for both in halves]
        found = attack_membership(
            pools, self.training, shadows=self.shadows, seed=seed, device=self.device
        )
        best = strongest(found)
        areas = torch.tensor(found[best].auc)
        return Finding(
            attack=self.name,
            protector=victim.protector,
            metric="auc",
            value=float(areas.mean()),
            floor=0.5,
            ceiling=1.0,
            interval=_wide(
                float(areas.mean()),
                mean_interval(areas[None]),
                sum(len(pool.features) for pool in pools),
            ),
            ceiling_interval=(1.0, 1.0),
            seeds=self.seeds,
            details=EnrolledDetails(
                strongest=best,
                auc={name: fmean(told.auc) for name, told in found.items()},
                tpr={name: fmean(told.tpr) for name, told in found.items()},
                victims=tuple(areas.tolist()),
            ),
        )
