"""Membership is found where training left a mark, and not where there is none."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sfumato.attack.membership import MEMBER, MembershipAttack, with_membership
from sfumato.attack.tools.learners import LearnerConfig
from sfumato.data.imageset import ImageSet
from sfumato.errors import DataError
from sfumato.types import Finding, Knowledge, Releases

_CONFIG = LearnerConfig(learners=("probe", "perceptron"), restarts=1, epochs=20, device="cpu")


def _noise(count: int, seed: int) -> ImageSet:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 1, 6, 6), generator=generator).to(torch.uint8)
    return ImageSet(name=f"noise{seed}", images=images)


def _attack(trained_on: Tensor | None) -> Finding:
    """Releases are the pictures' sums, which say nothing; a classifier knows its training set."""
    own = with_membership(_noise(150, 1), _noise(150, 2))
    hidden = with_membership(_noise(150, 3), _noise(150, 4))

    def release(images: Tensor) -> Tensor:
        return images.flatten(1)[:, :8]

    def classify(rows: Tensor) -> Tensor:
        sure = torch.zeros(len(rows))
        if trained_on is not None:
            sure = (rows[:, None] == trained_on[None]).all(2).any(1).float()
        return torch.stack([1 + 6 * sure, torch.zeros(len(rows)), rows[:, 0]], 1)

    images = hidden.floats()
    victim = Releases(protector="sums", tensor=release(images), images=images, labels=hidden.labels)
    knowledge = Knowledge(images=own.floats(), labels=own.labels, query=release)
    return MembershipAttack(classify=classify, config=_CONFIG).run(victim, knowledge)


def test_a_classifier_that_remembers_gives_its_members_away() -> None:
    members = torch.cat([_noise(150, 1).floats(), _noise(150, 3).floats()]).flatten(1)[:, :8]
    finding = _attack(members)
    assert finding.details.way == "certainty"
    assert finding.value > 0.95
    assert finding.floor == 0.5
    assert finding.interval[0] > 0.9


def test_where_nothing_was_remembered_nothing_is_found() -> None:
    finding = _attack(None)
    assert 0.38 < finding.value < 0.62
    assert set(finding.details.ways) == {"release", "certainty"}


def test_whoever_knows_the_class_sees_where_a_classifier_is_right() -> None:
    """It is as sure of strangers as of members, and wrong of a third of the strangers."""

    def pictures(count: int, seed: int) -> ImageSet:
        made = _noise(count, seed)
        kind = torch.arange(count) % 3
        return replace(made, labels={"kind": kind}, classes={"kind": ("a", "b", "c")})

    parts = [pictures(300, seed) for seed in range(1, 5)]
    own, hidden = (with_membership(*pair, keep=["kind"]) for pair in (parts[:2], parts[2:]))
    said = {}
    for both in (own, hidden):
        wrong = (both.labels[MEMBER] == 0) & (torch.arange(len(both)) // 3 % 3 == 0)
        told = (both.labels["kind"] + wrong.long()) % 3
        said |= {
            row.numpy().tobytes(): int(at) for row, at in zip(both.floats(), told, strict=True)
        }

    def release(images: Tensor) -> Tensor:
        told = torch.tensor([said[row.numpy().tobytes()] for row in images])
        return torch.nn.functional.one_hot(told, 3).float()

    images = hidden.floats()
    victim = Releases(protector="told", tensor=release(images), images=images, labels=hidden.labels)
    knowledge = Knowledge(images=own.floats(), labels=own.labels, query=release)
    attack = MembershipAttack(classify=lambda rows: 4 * rows, label="kind", config=_CONFIG)
    details = attack.run(victim, knowledge).details
    assert details.way == "truth"
    assert details.ways["certainty"] == 0.5
    assert details.ways["truth"] == pytest.approx((1 + 1 / 3) / 2, abs=0.02)


def test_both_kinds_of_pictures_are_needed() -> None:
    both = with_membership(_noise(3, 0), _noise(2, 1))
    assert both.labels[MEMBER].tolist() == [1, 1, 1, 0, 0]
    with pytest.raises(DataError, match="not trained on, got none"):
        with_membership(_noise(3, 0), _noise(3, 1).subset([]))
    with pytest.raises(DataError, match="some of each"):
        with_membership(_noise(3, 0).subset([]), _noise(3, 1))
