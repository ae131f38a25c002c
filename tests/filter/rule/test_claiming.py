"""What an enrollment claims of others, and whether it finds what it decodes itself."""

from __future__ import annotations

import pytest
import torch

from sfumato.data.sources import load
from sfumato.errors import EnrollmentError
from sfumato.filter.bank.bank import Bank
from sfumato.filter.enroll import enroll
from sfumato.filter.enrollment import Enrollment
from sfumato.filter.oneclass import OneClassConfig
from sfumato.filter.rule.claiming import (
    LEAST_OWN,
    LEAST_SPREAD,
    LEAST_VARIED,
    check_own,
    claim_limit,
    false_claims,
    most_claims,
)
from sfumato.filter.rule.guard import ALPHA, Sigmas


def test_a_picture_that_two_claim_counts_once() -> None:
    errors = torch.tensor([[1.0, 9.0], [1.0, 1.0], [9.0, 9.0], [9.0, 2.0]])
    assert false_claims(errors, torch.tensor([1.0, 2.0])) == 3
    assert false_claims(errors, torch.tensor([0.5, 0.5])) == 0
    assert false_claims(errors[:, :1], torch.tensor([1.0])) == 2


def test_the_limit_is_the_guards() -> None:
    mu, sigma = torch.tensor([0.4]), torch.tensor([0.25])
    limit = claim_limit(0.4, 0.25)
    scores = torch.tensor([[limit - 1e-4], [limit + 1e-4]])
    assert (Sigmas(mu, sigma)(scores) <= ALPHA)[:, 0].tolist() == [True, False]


@pytest.mark.parametrize("count", [2, 3, 12])
@pytest.mark.parametrize("preset", ["default", "paper"])
def test_honest_enrollments_are_consistent_however_few_their_pictures(
    count: int, preset: str
) -> None:
    x = load("digits").where("digit", "3").floats().flatten(1)[:count]
    config = OneClassConfig.preset(preset, hidden=6, least_steps=100)
    made = enroll(x, config, backbone="0" * 64, seed=0)
    checked(made)
    # Two pictures that are the same have errors that are the same, and no spread.
    same = enroll(x[:1].repeat(2, 1), config, backbone="0" * 64, seed=0)
    assert same.sigma >= LEAST_SPREAD * same.mu * (1 - 1e-6)


@pytest.mark.parametrize("seed", [0, 1])
def test_who_has_pictures_that_are_alike_may_enroll(seed: int) -> None:
    """Of 15 pictures of one face a thousandth of `mu` was too much to ask, in one seed of two."""
    generator = torch.Generator().manual_seed(seed)
    centre = 0.3 + 0.4 * torch.rand(1, 64, generator=generator)
    x = (centre + 0.1 * torch.randn(15, 64, generator=generator)).clamp(0, 1)
    config = OneClassConfig(hidden=16, least_steps=400)
    made = enroll(x, config, backbone="0" * 64, seed=seed)
    assert float(sampled(made)[0].var(0).sum()) < 5e-4 * made.mu
    checked(made)


def sampled(made: Enrollment) -> tuple[torch.Tensor, torch.Tensor]:
    bank = Bank.empty(made.dim, made.hidden, backbone=made.backbone)
    bank.add("", made)
    samples = bank.samples("", 64, seed=1)
    return samples, bank.errors(samples)[:, 0]


def checked(made: Enrollment) -> None:
    samples, errors = sampled(made)
    limit = claim_limit(made.mu, made.sigma)
    check_own(samples, errors, mu=made.mu, sigma=made.sigma, limit=limit)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sigma": 0.9 * LEAST_SPREAD}, "at least 0.01 mu"),
        ({"errors": torch.full((8,), 1.3)}, "claims 0% of it"),
        ({"samples": torch.full((8, 4), 0.5)}, "nearly the same picture"),
    ],
)
def test_what_contradicts_itself_is_refused(changed: dict[str, object], message: str) -> None:
    fine = {"samples": torch.eye(8)[:, :4], "errors": torch.full((8,), 0.1), "mu": 1.0}
    fine |= {"sigma": 0.1, "limit": 1.2}
    check_own(**fine)
    with pytest.raises(EnrollmentError, match=message):
        check_own(**(fine | changed))


def test_honest_counts_are_rarely_above_the_most() -> None:
    generator = torch.Generator().manual_seed(0)
    for expected in (0.02, 1.0, 20.0):
        counts = torch.poisson(torch.full((20_000,), expected), generator=generator)
        assert float((counts > most_claims(expected)).float().mean()) < 1e-3
        assert most_claims(expected) < expected + 25


@pytest.mark.parametrize(
    ("fits", "too_little"),
    [
        ({"sigma": LEAST_SPREAD * 2}, {"sigma": LEAST_SPREAD * 2 * (1 - 1e-2)}),
        ({"sigma": LEAST_SPREAD * 2 * (1 - 1e-4)}, {"sigma": float("nan")}),
        ({"claimed": 4}, {"claimed": 3}),
        ({"varied": LEAST_VARIED * 2 * (1 + 1e-3)}, {"varied": LEAST_VARIED * 2 * (1 - 1e-3)}),
        ({"varied": 9.0}, {"varied": float("nan")}),
    ],
    ids=["sigma", "rounding", "claims", "variance", "no number"],
)
def test_the_least_that_is_asked_of_an_enrollment_is_enough(
    fits: dict[str, float], too_little: dict[str, float]
) -> None:
    """`mu` is 2 and the limit 3, so that no unit can be forgotten."""
    assert LEAST_OWN == 0.5

    def check(sigma: float = 0.1, claimed: int = 8, varied: float = 1.0) -> None:
        errors = torch.tensor([3.0] * claimed + [3.001] * (8 - claimed))
        # Four of one value and four of its negative in two columns: their variance is known.
        side = torch.tensor([1.0, -1.0]).repeat(4)[:, None].expand(-1, 2)
        samples = side * (varied / 2 * 7 / 8) ** 0.5
        check_own(samples, errors, mu=2.0, sigma=sigma, limit=3.0)

    check(**fits)  # type: ignore[arg-type]
    with pytest.raises(EnrollmentError):
        check(**too_little)  # type: ignore[arg-type]


@pytest.mark.parametrize(("expected", "most"), [(0.0, 4.0), (1.0, 9.0), (4.0, 16.0), (100.0, 144)])
def test_the_most_claims_are_four_deviations_and_four(expected: float, most: float) -> None:
    assert most_claims(expected) == most
