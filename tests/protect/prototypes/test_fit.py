"""What prototypes learn from: each view predicts the division of the other one."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.protect.prototypes.fit import swapped_prediction


@given(st.integers(0, 10_000), st.floats(0.05, 2.0))
def test_the_loss_is_the_cross_entropy_of_each_division_under_the_other_view(
    seed: int, temperature: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    views = 2 * torch.rand(2, 5, 3, generator=generator) - 1
    shares = torch.rand(2, 5, 3, generator=generator)
    shares /= shares.sum(2, keepdim=True)
    total = 0.0
    for here, there in ((0, 1), (1, 0)):
        for share, logits in zip(shares[here].tolist(), views[there].tolist(), strict=True):
            powers = [math.exp(logit / temperature) for logit in logits]
            total -= sum(s * math.log(p / sum(powers)) for s, p in zip(share, powers, strict=True))
    found = swapped_prediction(views[0], views[1], (shares[0], shares[1]), temperature)
    assert float(found) == pytest.approx(total / 10, rel=1e-4)


def test_a_view_that_contradicts_the_others_division_costs_more() -> None:
    similar = torch.tensor([[0.9, 0.1], [0.1, 0.9]])
    shares = torch.eye(2)
    agree = swapped_prediction(similar, similar, (shares, shares), 0.1)
    cross = swapped_prediction(similar, similar.flip(1), (shares, shares), 0.1)
    assert float(agree) < float(cross)
