"""The balanced division: every private value uses each prototype, and the similar come together."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.protect.anonymizer.losses import mutual_information
from sfumato.protect.prototypes.division import balanced_division


@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(2, 9))
def test_a_division_gives_every_private_value_every_prototype_equally(
    seed: int, values: int, prototypes: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(values, (60,), generator=generator)
    labels[:values] = torch.arange(values)
    similar = 2 * torch.rand(60, prototypes, generator=generator) - 1
    shares = balanced_division(similar, labels, sharpness=0.5, rounds=200)
    torch.testing.assert_close(shares.sum(1), torch.ones(60))
    used = torch.zeros(values, prototypes).index_add_(0, labels, shares)
    wanted = torch.bincount(labels)[:, None] / prototypes
    torch.testing.assert_close(used, wanted.expand_as(used), rtol=0.02, atol=0.02)
    assert float(mutual_information(used)) < 1e-3


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.floats(0.3, 1.0), st.integers(1, 9))
def test_it_is_sinkhorns_iteration_done_number_by_number(
    seed: int, sharpness: float, rounds: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (9,), generator=generator)
    labels[:3] = torch.arange(3)
    similar = 2 * torch.rand(9, 4, generator=generator) - 1
    shares = [[torch.tensor((s - max(row)) / sharpness).double().exp().item() for s in row]
              for row in similar.tolist()]  # fmt: skip
    for _ in range(rounds):
        for value in range(3):
            rows = [i for i in range(9) if int(labels[i]) == value]
            for k in range(4):
                used = sum(shares[i][k] for i in rows)
                for i in rows:
                    shares[i][k] *= len(rows) / 4 / used
        shares = [[s / sum(row) for s in row] for row in shares]
    found = balanced_division(similar, labels, sharpness=sharpness, rounds=rounds)
    torch.testing.assert_close(found, torch.tensor(shares), rtol=1e-3, atol=1e-4)


def test_a_division_prefers_what_is_similar() -> None:
    similar = torch.tensor([[0.9, 0.1], [0.1, 0.9]]).repeat(4, 1)
    shares = balanced_division(similar, torch.tensor([0] * 4 + [1] * 4), sharpness=0.05, rounds=20)
    assert bool((shares.argmax(1) == similar.argmax(1)).all())


@pytest.mark.parametrize("rounds", [1, 20])
def test_a_prototype_that_nobody_is_near_is_left_unused(rounds: int) -> None:
    """So far from everybody that its shares are zero, of which no balance makes more."""
    similar = torch.tensor([[1.0, 0.9, -1.0], [0.9, 1.0, -1.0]]).repeat(3, 1)
    labels = torch.tensor([0, 0, 0, 0, 1, 1])
    shares = balanced_division(similar, labels, sharpness=0.01, rounds=rounds)
    assert torch.equal(shares[:, 2], torch.zeros(6))
    torch.testing.assert_close(shares.sum(1), torch.ones(6))
    used = torch.zeros(2, 3).index_add_(0, labels, shares)
    wanted = torch.tensor([[2.0, 2.0], [1.0, 1.0]])
    torch.testing.assert_close(used[:, :2], wanted, rtol=0, atol=0.1)


def test_values_that_nobody_has_change_nothing() -> None:
    similar = torch.rand(6, 3)
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    plain, spread = (
        balanced_division(similar, own, sharpness=0.1, rounds=9) for own in (labels, 4 * labels + 2)
    )
    torch.testing.assert_close(plain, spread)
