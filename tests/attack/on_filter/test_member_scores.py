"""Scores of membership: the papers' equations, against slow obvious references."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

from sfumato.attack.on_filter.member_scores import (
    calibrated,
    likelihood_ratio,
    offline_ratio,
    threshold,
)
from sfumato.attack.on_filter.shadows import halves
from sfumato.attack.tools.scores import area
from sfumato.errors import DataError

SHADOWS, PICTURES = 12, 20


@pytest.fixture(scope="module")
def member() -> Tensor:
    return halves(PICTURES, SHADOWS, seed=0)


def drawn(member: Tensor, statistics: int, effect: float) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    difficulty = 3 * torch.randn(1, PICTURES, statistics, generator=generator)
    noise = torch.randn(SHADOWS, PICTURES, statistics, generator=generator)
    return difficulty + noise - effect * member[..., None].float()


def test_halves_are_halves_and_each_picture_is_in_half_of_them(member: Tensor) -> None:
    assert member.sum(1).tolist() == [PICTURES // 2] * SHADOWS
    assert member.sum(0).tolist() == [SHADOWS // 2] * PICTURES


def test_calibration_takes_off_the_mean_of_the_others_that_did_not_see_the_picture(
    member: Tensor,
) -> None:
    known = drawn(member, 1, 1.0)[..., 0]
    score = calibrated(known, member)
    for k, i in ((0, 0), (3, 7), (11, 19)):
        others = [j for j in range(SHADOWS) if j // 2 != k // 2 and not member[j, i]]
        assert float(score[k, i]) == pytest.approx(float(known[others, i].mean() - known[k, i]))
    assert torch.equal(threshold(known), -known)


def test_the_offline_ratio_orders_one_picture_as_the_normal_tail_does(member: Tensor) -> None:
    known = drawn(member, 1, 1.0)[..., 0].double()
    score = offline_ratio(known, member)
    k, i = 4, 9
    others = [j for j in range(SHADOWS) if j // 2 != k // 2 and not member[j, i]]
    mean, spread = known[others, i].mean(), known[others, i].std(correction=0)
    tail = 1 - Normal(mean, spread).cdf(known[k, i])
    assert float(Normal(0.0, 1.0).cdf(score[k, i])) == pytest.approx(float(tail), abs=1e-4)


@pytest.mark.parametrize("statistics", [1, 3])
def test_the_likelihood_ratio_is_that_of_two_normals(member: Tensor, statistics: int) -> None:
    known = drawn(member, statistics, 1.0).double()
    score = likelihood_ratio(known, member)
    means, away = {}, {}
    for seen in (True, False):
        chosen = member if seen else ~member
        means[seen] = torch.zeros_like(known)
        for k in range(SHADOWS):
            for i in range(PICTURES):
                others = [j for j in range(SHADOWS) if j // 2 != k // 2 and chosen[j, i]]
                means[seen][k, i] = known[others, i].mean(0)
        away[seen] = (known - means[seen])[chosen]
    k, i = 2, 5
    value = []
    for seen in (True, False):
        covariance = away[seen].mT @ away[seen] / (len(away[seen]) - 1)
        value.append(MultivariateNormal(means[seen][k, i], covariance).log_prob(known[k, i]))
    assert float(score[k, i]) == pytest.approx(float(value[0] - value[1]), rel=1e-3)


@pytest.mark.parametrize("shadows", [4, 6, 8, 16])
def test_what_says_nothing_of_membership_scores_at_chance(shadows: int) -> None:
    """Members had a shadow more without the picture: that alone named them, or hid them."""
    generator = torch.Generator().manual_seed(shadows)
    member = halves(2000, shadows, seed=1)
    known = torch.randn(shadows, 2000, 2, generator=generator)
    scores = (
        calibrated(known[..., 0], member),
        offline_ratio(known[..., 0], member),
        likelihood_ratio(known, member),
    )
    for score in scores:
        assert area(score[member], score[~member]) == pytest.approx(0.5, abs=0.02)


def test_an_odd_number_of_shadows_is_refused() -> None:
    with pytest.raises(DataError, match="even number of at least 4 shadows, got 7"):
        halves(10, 7, seed=0)
