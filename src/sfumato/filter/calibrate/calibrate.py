"""From public pictures to a policy: what a bank of this backbone may promise, and what it blocks.

People of the source enroll as they would on their devices. Then strangers and the enrolled people
upload other pictures. Or the enrollments of a bank that is there are tried on strangers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.device import Device
from sfumato.features.policy import MOST_COHORT, Policy
from sfumato.filter.calibrate.config import CalibrationConfig
from sfumato.filter.calibrate.honesty import Honesty, measure_honesty
from sfumato.filter.calibrate.people import Parts, draw_parts
from sfumato.filter.calibrate.public import Public
from sfumato.filter.calibrate.trial import TARGETS, Strangers, Trial, Uploads, run_trial
from sfumato.filter.enroll import FOLDS
from sfumato.filter.enrolled import EnrolledUsers, enroll_all, joined
from sfumato.filter.oneclass import OneClassConfig, one_thread
from sfumato.filter.rule.screening import CONTESTED
from sfumato.progress import track

_STACK = 1 << 22  # weights trained at once: 50 people of 128 features


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A backbone's policy, and the measurement that it rests on."""

    policy: Policy
    trial: Trial
    honesty: Honesty | None
    """None for a bank that is there: its people may be honest or not."""
    enrolled: int
    """Enrollments that were tried."""
    config: CalibrationConfig
    uploads: int
    """Fewest new pictures that one of the simulated people uploaded; 0 for a bank that is there."""
    strangers: int
    """People that false blocks were counted on."""
    measured_cohort: int
    """Pictures that set the anchors in the trial; the policy has at least as many."""


def calibrate(
    public: Public,
    config: CalibrationConfig,
    *,
    training: OneClassConfig | None = None,
    bank: EnrolledUsers | None = None,
    contested: float = CONTESTED,
    device: Device = "cpu",
) -> Calibration:
    """Measure what enrollments block, and return the policy.

    Args:
        public: Public pictures: of people who enroll in the trial, and of strangers.
        config: How the trial goes.
        training: How people enroll; the default training unless told otherwise. It takes the
            views that `public` draws.
        bank: Enrollments in place of simulated ones; all public pictures are then strangers'.
        contested: The policy's, where a bank is given; else the trial finds it.
        device: Where the simulated people are trained.

    Raises:
        DataError: people or pictures are too few.
    """
    parts = draw_parts(public.who, config, enroll=bank is None)
    others = Strangers(
        cohort=public.features[parts.cohort],
        fitting=public.features[parts.fitting],
        testing=public.features[parts.testing],
        testers=public.who[parts.testing],
    )
    training = training or OneClassConfig()
    private = [public.features[rows] for rows in parts.private]
    simulated = bank is None
    taught = _taught(public, parts, private, config.seed)
    with one_thread():
        users = _enrolled(private, taught, training, config.seed, device) if bank is None else bank
    uploads = _uploads(public, parts) if simulated else None
    targets = sorted({*TARGETS, config.false_blocks})
    trial = run_trial(users, others, uploads, targets, config.seed)
    honesty = (
        measure_honesty(users, taught, training, seed=config.seed, device=device)
        if simulated
        else None
    )
    every = torch.cat([parts.cohort, parts.fitting, parts.testing])[:MOST_COHORT]
    policy = Policy(
        cohort=public.features[every].contiguous(),
        dimension=trial.dimension,
        false_blocks=config.false_blocks,
        contested=contested if honesty is None else honesty.contested,
    )
    return Calibration(
        policy=policy,
        trial=trial,
        honesty=honesty,
        enrolled=len(users),
        config=config,
        uploads=min(map(len, parts.uploads), default=0),
        strangers=len(others.testers.unique()),
        measured_cohort=len(others.cohort),
    )


def _taught(public: Public, parts: Parts, private: list[Tensor], seed: int) -> list[Tensor]:
    """Return what each person's network is trained on: views of the pictures, or the pictures."""
    draw = public.views
    if draw is None:
        return private
    every = track(list(enumerate(parts.private)), "views of private pictures")
    return [draw(rows, seed + i) for i, rows in every]


def _enrolled(
    private: Sequence[Tensor],
    taught: Sequence[Tensor],
    training: OneClassConfig,
    seed: int,
    device: Device,
) -> EnrolledUsers:
    """Enroll everybody, some at once: the weights of all would not stay in a core's cache."""
    width = private[0].shape[1]
    many = max(1, _STACK // (2 * training.hidden * width))
    folds = min(FOLDS, len(private[0]))
    parts = [
        enroll_all(
            private[i : i + many],
            training,
            views=taught[i : i + many],
            folds=folds,
            seed=seed + i,
            device=device,
        )
        for i in track(range(0, len(private), many), "enrolling people")
    ]
    return joined(parts)


def _uploads(public: Public, parts: Parts) -> Uploads:
    owners = [torch.full((len(rows),), i) for i, rows in enumerate(parts.uploads)]
    return Uploads(features=public.features[torch.cat(parts.uploads)], enrollment=torch.cat(owners))
