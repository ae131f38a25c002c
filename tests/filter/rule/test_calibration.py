"""The common tail of enrollments' errors: anchors, dimension, rarity and its inverse."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

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


def slow_dimension(anchor: list[float], rows: list[list[float]]) -> float:
    """Hill's estimator as it is told in words, on Python's numbers."""
    ratios = sorted(e / a for row in rows for e, a in zip(row, anchor, strict=True))
    end = max(ratios[20], 1.0)
    logs = [math.log(end / ratio) for ratio in ratios if ratio < end]
    return (len(logs) - 1) / sum(logs)


@given(seed=st.integers(0, 10_000), scale=st.floats(0.2, 4.0), width=st.integers(1, 4))
@settings(max_examples=30)
def test_the_dimension_is_hills_estimator(seed: int, scale: float, width: int) -> None:
    """With anchors so low that the lowest twenty decide, and so high that nearly all count."""
    errors = torch.rand(40, width, generator=torch.Generator().manual_seed(seed)) + 0.01
    anchor = scale * torch.linspace(0.1, 0.4, width)
    found = tail_dimension(anchor, errors)
    assert found == pytest.approx(slow_dimension(anchor.tolist(), errors.tolist()), rel=1e-4)


def test_the_tail_needs_one_more_error_than_it_has() -> None:
    errors = torch.rand(21, 1, generator=torch.Generator().manual_seed(0)) + 0.1
    assert tail_dimension(torch.ones(1), errors) > 0
    with pytest.raises(DataError, match="more than 20 errors to fit the tail, got 20"):
        tail_dimension(torch.ones(1), errors[:20])
    twice = torch.cat([torch.full((20, 1), 3.0), torch.full((2, 1), 2.0)])
    assert tail_dimension(torch.ones(1), twice) > 0
    with pytest.raises(DataError, match="got equal ones"):
        tail_dimension(torch.ones(1), twice[:21])


@given(
    error=st.floats(1e-3, 30.0),
    anchor=st.floats(0.1, 9.0),
    dimension=st.floats(0.5, 12.0),
    size=st.sampled_from([0, 1, 2, 99, 100, 101, 5000]),
)
def test_rarity_is_the_formula_and_nothing_above_an_anchor_is_rare(
    error: float, anchor: float, dimension: float, size: int
) -> None:
    found = float(Rarity(torch.tensor([anchor]), dimension, size)(torch.tensor([[error]])))
    at_anchor = math.log10(LEVEL * max(size, 1))
    law = dimension * math.log10(error / anchor) + at_anchor
    if error <= anchor:
        assert found == pytest.approx(law, abs=1e-3)
    else:
        assert found == pytest.approx(law - min(at_anchor, 0), abs=1e-3)
        assert found >= at_anchor - 1e-4
