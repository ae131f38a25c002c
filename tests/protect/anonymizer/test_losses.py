from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.protect.anonymizer.losses import (
    autoencoder_loss,
    empirical_distribution,
    fidelity_loss,
    information_bound,
    mutual_information,
    objective_loss,
    private_loss,
)

_LABELS = torch.tensor([0, 0, 1, 2, 2, 2])
_SEEDS = st.integers(0, 10_000)


def _logits(seed: int, scale: float = 3.0) -> torch.Tensor:
    return scale * torch.randn(6, 3, generator=torch.Generator().manual_seed(seed))


@given(_SEEDS)
def test_equations_13_to_15_as_the_paper_prints_them(seed: int) -> None:
    logits = _logits(seed)
    q = logits.softmax(1)
    share = [2 / 6, 1 / 6, 3 / 6]
    eq14 = -sum(math.log(float(q[i, z])) for i, z in enumerate(_LABELS.tolist())) / 6
    eq15 = -sum(share[z] * math.log(float(q[i, z])) for i in range(6) for z in range(3)) / 6
    assert float(private_loss(logits, _LABELS)) == pytest.approx(eq14, rel=1e-4)
    objective = objective_loss(logits, empirical_distribution(_LABELS, 3))
    assert float(objective) == pytest.approx(eq15, rel=1e-4)
    y = torch.tensor([1.0, 0, 1, 1, 0, 0])
    judged = logits[:, 0].sigmoid()
    eq13 = -(y * judged.log() + (1 - y) * (1 - judged).log()).mean()
    assert float(fidelity_loss(logits[:, 0], y)) == pytest.approx(float(eq13), rel=1e-3, abs=1e-4)


@given(_SEEDS)
def test_the_objective_bounds_the_entropy_of_the_label(seed: int) -> None:
    share = empirical_distribution(_LABELS, 3)
    entropy = -(share * share.log()).sum()  # eqs (6) and (7)
    assert float(objective_loss(_logits(seed), share)) >= float(entropy) - 1e-5
    guess = share.log().expand(6, 3)
    assert float(objective_loss(guess, share)) == pytest.approx(float(entropy), rel=1e-5)
    assert float(information_bound(entropy, private_loss(guess, _LABELS))) < 1e-5


def test_the_autoencoders_loss_has_its_least_at_guessing_and_not_at_being_wrong() -> None:
    share = empirical_distribution(_LABELS, 3)
    zero = torch.tensor(0.0)

    def loss(logits: torch.Tensor) -> float:
        return float(
            autoencoder_loss(
                zero, objective_loss(logits, share), private_loss(logits, _LABELS), lam=2.0
            )
        )

    right = 8 * torch.nn.functional.one_hot(_LABELS, 3).float()
    assert loss(share.log().expand(6, 3)) < 1e-5
    assert loss(right) > 1
    assert loss(-right) > 1
    fidelity = torch.tensor(0.7)
    assert float(autoencoder_loss(fidelity, zero, fidelity, lam=0.0)) == pytest.approx(0.7)


@given(_SEEDS, st.integers(2, 5), st.integers(2, 7))
def test_mutual_information_is_zero_when_independent_and_the_entropy_when_all_is_said(
    seed: int, values: int, releases: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    p = torch.rand(values, generator=generator) + 0.05
    q = torch.rand(releases, generator=generator) + 0.05
    assert abs(float(mutual_information(p[:, None] * q[None]))) < 1e-5
    share = p / p.sum()
    entropy = -(share * share.log()).sum()
    assert float(mutual_information(torch.diag(p))) == pytest.approx(float(entropy), rel=1e-4)
    joint = torch.rand(values, releases, generator=generator)
    merged = torch.stack([joint[:, 0] + joint[:, 1], *joint[:, 2:].T], 1)
    assert float(mutual_information(merged)) <= float(mutual_information(joint)) + 1e-6
