"""The common tail of enrollments' errors: anchors, dimension, rarity and its inverse."""

from __future__ import annotations

import math

import pytest
import torch

from sfumato.errors import DataError
from sfumato.filter.rule.calibration import LEVEL, Rarity, anchors, tail_dimension


def power_tails(count: int, scales: torch.Tensor, dimension: float, *, seed: int) -> torch.Tensor:
    """Errors whose distribution is exactly a power: P(error <= x) = (x / scale) ^ dimension."""
    generator = torch.Generator().manual_seed(seed)
    u = torch.rand(count, len(scales), generator=generator, dtype=torch.float64)
    return (scales * u ** (1 / dimension)).float()


def test_an_anchor_is_the_quantile() -> None:
    errors = torch.rand(1234, 7, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(anchors(errors), errors.quantile(LEVEL, dim=0))
    assert torch.allclose(anchors(errors[:200]), errors[:200].quantile(LEVEL, dim=0))


@pytest.mark.parametrize("dimension", [2.0, 11.0])
def test_the_power_of_a_power_law_is_found(dimension: float) -> None:
    scales = torch.linspace(0.5, 20, 60)
    anchor = anchors(power_tails(2000, scales, dimension, seed=0))
    found = tail_dimension(anchor, power_tails(2000, scales, dimension, seed=1))
    assert found == pytest.approx(dimension, rel=0.12)


@pytest.mark.parametrize("dimension", [2.0, 11.0])
def test_a_bank_of_few_enrollments_has_the_same_power(dimension: float) -> None:
    """Of 900 errors few or none are below an anchor; the estimate is then of the lowest ones."""
    scales = torch.tensor([1.0, 3.0, 9.0])
    found = []
    for seed in range(100):
        errors = power_tails(300, scales, dimension, seed=seed)
        found.append(tail_dimension(scales * 0.01 ** (1 / dimension) / 2, errors))
    assert sum(found) / 100 == pytest.approx(dimension, rel=0.1)


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        (torch.rand(6, 3), "expected more than 20 errors to fit the tail, got 18"),
        (torch.full((90, 3), torch.inf), "more than 20 errors to fit the tail, got 0"),
        (torch.full((90, 3), 2.0), "got equal ones; give other public pictures"),
    ],
    ids=["few", "infinite", "equal"],
)
def test_pictures_that_have_no_tail_are_refused(errors: torch.Tensor, expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        tail_dimension(torch.ones(3), errors)


@pytest.mark.parametrize("size", [1, 10, 1000])
def test_a_bank_of_any_size_blocks_no_more_strangers_than_its_target(size: int) -> None:
    scales = torch.rand(size, generator=torch.Generator().manual_seed(2)) * 9 + 1
    anchor = anchors(power_tails(2000, scales, 9.0, seed=3))
    strangers = power_tails(10_000, scales, 9.0, seed=4)
    blocked = Rarity(anchor, 9.0, size)(strangers).min(1).values <= math.log10(0.01)
    assert 0.005 < float(blocked.float().mean()) < 0.016


def test_limits_are_the_inverse_of_rarity() -> None:
    anchor = torch.tensor([0.3, 2.0, 50.0])
    wanted = torch.tensor([-4.0, -2.0, -0.03])
    unit = Rarity(anchor, 7.5, 321)
    assert torch.allclose(unit(unit.limits(wanted)[None])[0], wanted, atol=1e-5)
    assert torch.equal(unit.limits(-2.0), unit.limits(torch.full((3,), -2.0)))
    assert bool((unit.limits(-torch.inf) < 0).all()), "who is disabled claims nothing"


def test_no_enrollment_claims_what_is_not_rare() -> None:
    """A bank of one with a target of half of everybody claims the lowest hundredth, no more."""
    anchor = torch.tensor([2.0])
    unit = Rarity(anchor, 8.0, 1)
    assert unit.limits(math.log10(0.5)).tolist() == [2.0]
    errors = torch.tensor([[1.999], [2.001], [2.2], [90.0]])
    assert (unit(errors)[:, 0] <= math.log10(0.5)).tolist() == [True, False, False, False]
    values = unit(torch.linspace(0.1, 9, 500)[:, None])[:, 0]
    assert bool((values.diff() >= 0).all())


def test_the_unit_of_some_is_that_of_all() -> None:
    errors = torch.rand(5, 3, generator=torch.Generator().manual_seed(6))
    rows = torch.tensor([2, 0])
    whole = Rarity(torch.tensor([0.3, 2.0, 50.0]), 7.5, 321)
    assert torch.equal(whole.at(rows)(errors[:, rows]), whole(errors)[:, rows])


def test_what_overflows_claims_nothing_and_a_perfect_copy_is_rarest() -> None:
    cohort = torch.rand(300, 3, generator=torch.Generator().manual_seed(5))
    cohort[:, 1] = torch.inf
    errors = torch.tensor([[0.0, torch.inf, 0.5]])
    found = Rarity(anchors(cohort), 5.0, 3)(errors)[0]
    assert found[1] == torch.inf
    assert found[0] < -10
    assert bool(found[2].isfinite())
