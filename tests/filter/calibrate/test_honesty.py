"""The screening's threshold spares honest people, and finds who trained on stolen pictures."""

from __future__ import annotations

import pytest
import torch

from sfumato.filter.calibrate.honesty import choose_contested, measure_honesty
from sfumato.filter.enrolled import enroll_all
from sfumato.filter.oneclass import OneClassConfig
from sfumato.filter.rule.screening import CONTESTED
from tests.filter.calibrate.clouds import clouds


def unlike(count: int) -> torch.Tensor:
    return torch.full((count, count), 3.0).fill_diagonal_(0)


def test_honest_people_who_are_unlike_leave_the_default() -> None:
    assert choose_contested(unlike(20)) == CONTESTED


def test_one_pair_of_few_is_spared() -> None:
    likeness = unlike(20)
    likeness[3, 4] = 0.6123
    assert choose_contested(likeness) == 0.612


def test_one_person_in_a_hundred_may_be_contested_but_not_two() -> None:
    likeness = unlike(100)
    likeness[3, 4] = 0.5
    assert choose_contested(likeness) == CONTESTED
    likeness[5, 6] = 0.7004
    assert choose_contested(likeness) == 0.7


def test_one_pair_in_a_thousand_may_be_contested_but_not_more() -> None:
    likeness = unlike(100)
    likeness[3, :9] = torch.tensor([0.3, 0.31, 0.32, 0.0, 0.33, 0.34, 0.35, 0.36, 0.37])
    assert choose_contested(likeness) == CONTESTED  # 8 of 9,900 pairs, one person
    likeness[3, 9:12] = torch.tensor([0.5, 0.5104, 0.52])
    assert choose_contested(likeness) == 0.51


@pytest.mark.slow
@pytest.mark.parametrize("apart", [1.0, 0.15])
def test_attackers_are_found_and_honest_people_are_not(apart: float) -> None:
    features = clouds(20, 7, apart=apart).features.view(20, 7, -1)
    training = OneClassConfig.preset("plain", hidden=8, least_steps=150)
    users = enroll_all(list(features), training, folds=5, seed=0)
    found = measure_honesty(users, list(features), training, seed=0)
    assert found.honest == 0
    assert 0 <= found.contested <= CONTESTED
    assert (found.attackers > 0.9) if apart == 1 else (found.contested < CONTESTED)
