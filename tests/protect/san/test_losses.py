from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.protect.san import losses as eq


def entropy(wanted: float, logit: float) -> float:
    p = 1 / (1 + math.exp(-logit))
    return -(wanted * math.log(p) + (1 - wanted) * math.log(1 - p))


def test_equation_2_sums_over_pixels() -> None:
    x, y = torch.rand(2, 1, 3, 3), torch.rand(2, 1, 3, 3) * 0.8 + 0.1
    expected = -sum(
        float(a * b.log() + (1 - a) * (1 - b).log())
        for a, b in zip(x.flatten(), y.flatten(), strict=True)
    )
    assert float(eq.pixel_loss(x, y)) == pytest.approx(expected / 2, rel=1e-4)


@given(st.floats(-5, 5), st.floats(-5, 5), st.sampled_from([0.0, 1.0]))
def test_equation_3_wants_the_true_value_under_sm_and_the_other_under_op(
    sm: float, op: float, y: float
) -> None:
    loss = eq.attribute_loss(*(torch.tensor([[v]]) for v in (y, sm, op)))
    assert float(loss) == pytest.approx(entropy(y, sm) + entropy(1 - y, op), rel=1e-4, abs=1e-5)


def test_equations_4_and_5_and_1_add_up() -> None:
    r, r_sm = torch.rand(4, 7), torch.rand(4, 7)
    y, sm, op = (torch.rand(4, 1).round(), torch.randn(4, 1), torch.randn(4, 1))
    distance = float(((r - r_sm) ** 2).sum()) / 4
    assert float(eq.match_loss(r, r_sm)) == pytest.approx(distance, rel=1e-5)
    both = float(eq.attribute_loss(y, sm, op)) + distance
    assert float(eq.joint_loss(y, sm, op, r, r_sm)) == pytest.approx(both, rel=1e-5)
    parts = [torch.tensor(float(v)) for v in (1.0, 2.0, 4.0)]
    assert float(eq.total_loss(*parts)) == 7.0


@given(st.floats(-5, 5), st.sampled_from([0.0, 1.0]))
def test_the_steered_loss_is_equation_3_taken_apart(logit: float, y: float) -> None:
    def steered(steer: float) -> float:
        return float(eq.steered_loss(*(torch.tensor([[v]]) for v in (y, steer, logit))))

    assert steered(1.0) == pytest.approx(entropy(y, logit), rel=1e-4, abs=1e-5)
    assert steered(0.0) == pytest.approx(entropy(1 - y, logit), rel=1e-4, abs=1e-5)
    assert steered(0.5) >= math.log(2) - 1e-6  # least where the classifier is undecided


def test_a_change_that_no_matcher_minds_costs_nothing() -> None:
    r = torch.zeros(2, 4)
    near, far = torch.full((2, 4), 0.05), torch.full((2, 4), 0.5)
    assert float(eq.hinge_match_loss(r, near, 0.02)) == 0
    assert float(eq.hinge_match_loss(r, far, 0.02)) == pytest.approx(0.98)


@given(st.integers(0, 10_000), st.floats(0, 3))
def test_what_a_matcher_minds_is_counted_picture_by_picture(seed: int, free: float) -> None:
    """A picture that changed little pays for none that changed much."""
    generator = torch.Generator().manual_seed(seed)
    r, r_new = torch.rand(5, 4, generator=generator), torch.rand(5, 4, generator=generator) * 2
    each = [
        max(0.0, sum((a - b) ** 2 for a, b in zip(old, new, strict=True)) - free)
        for old, new in zip(r.tolist(), r_new.tolist(), strict=True)
    ]
    assert float(eq.hinge_match_loss(r, r_new, free)) == pytest.approx(sum(each) / 5, abs=1e-5)
    assert float(eq.hinge_match_loss(r, r, free)) == 0
