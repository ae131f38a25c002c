"""Which pictures were enrolled: found where they were learnt by heart, and hidden by views."""

from __future__ import annotations

from statistics import fmean

import pytest
import torch
from torch import Tensor

from sfumato.attack.on_filter.membership import Told, attack_membership, judged, strongest
from sfumato.attack.on_filter.shadows import Pool
from sfumato.data.sources import load
from sfumato.errors import DataError
from sfumato.features.augmentation import Augmentation
from sfumato.features.views import draw_maps, warped
from sfumato.filter.oneclass import OneClassConfig

DIGITS = load("digits")
TRAINING = OneClassConfig.preset("plain", hidden=16, least_steps=200)


def pool(digit: int, *, views: bool) -> Pool:
    x = DIGITS.where("digit", str(digit)).floats()[:40]
    return Pool(
        features=x.flatten(1), views=seen(x, 16, 0) if views else None, queries=seen(x, 8, 1)
    )


def seen(x: Tensor, count: int, seed: int) -> Tensor:
    many = x.repeat_interleave(count, 0)
    maps = draw_maps(len(many), Augmentation(), torch.Generator().manual_seed(seed))
    return warped(many, maps).flatten(1).unflatten(0, (len(x), count))


def best(*, views: bool, **options: bool) -> float:
    pools = [pool(digit, views=views) for digit in (3, 8)]
    found = attack_membership(pools, TRAINING, shadows=8, seed=0, **options)
    return fmean(found[strongest(found)].auc)


def test_members_are_found_in_enrollments_of_few_pictures_and_views_hide_them() -> None:
    plain, hidden = best(views=False), best(views=True)
    assert plain > 0.95
    assert hidden < plain - 0.15  # seeds move either by some 0.03


def test_the_code_statistics_of_pictures_as_they_are_tell_on_their_own() -> None:
    """A mean and a covariance of few codes name the codes: of views they do not."""
    telling, hiding = (
        fmean(
            attack_membership([pool(3, views=views)], TRAINING, shadows=8, seed=0)[
                "code, calibrated"
            ].auc
        )
        for views in (False, True)
    )
    assert telling > 0.75
    assert hiding < telling - 0.15


def test_guessing_is_at_chance() -> None:
    generator = torch.Generator().manual_seed(0)
    member = torch.rand(8, 400, generator=generator) < 0.5
    area, named = judged(torch.randn(8, 400, generator=generator), member)
    assert area == pytest.approx(0.5, abs=0.03)
    assert named == pytest.approx(0.01, abs=0.01)


def test_a_perfect_score_names_everybody() -> None:
    member = torch.tensor([[True, False, True, False]])
    assert judged(member.float(), member) == (1.0, 1.0)


def test_the_strongest_is_that_of_the_largest_mean() -> None:
    found = {"a": Told((0.9, 0.5), (0.0, 0.0)), "b": Told((0.8, 0.7), (0.0, 0.0))}
    assert strongest(found) == "b"


def test_a_pool_needs_four_pictures() -> None:
    with pytest.raises(DataError, match="at least 4 pictures"):
        Pool(features=torch.rand(3, 5))
