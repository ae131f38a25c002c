"""One account cannot claim everybody's pictures, with the answers as its guide or without."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sklearn.datasets import load_digits

from sfumato.errors import EnrollmentError
from sfumato.features.policy import Policy
from sfumato.filter.enroll import enroll
from sfumato.filter.enrollment import Enrollment, open_enrollment, seal_enrollment
from sfumato.filter.oneclass import OneClassConfig
from sfumato.filter.rule.screening import BROAD, concluded
from sfumato.serve.bank.memory import BankState
from sfumato.serve.bank.vetting import check_itself, objection, public_errors
from sfumato.serve.records.store import Stored, Terms

HIDDEN, DIM, BACKBONE = 8, 64, "0" * 64
NOW = datetime(2026, 11, 27, tzinfo=UTC)
QUOTA = 20
THIEF, STRANGER = 77, 99
TARGET = 0.05
ENROLLED, PUBLIC = range(6), range(6, 10)
"""Digits of six honest people, and digits that nobody enrolls."""


@dataclass
class Platform:
    """A bank, and what its accounts hold."""

    state: BankState
    held: dict[int, list[Stored]] = field(default_factory=dict)

    def send(self, made: Enrollment, account: int) -> str:
        """Vet an enrollment, and let it count where nothing is against it."""
        check_itself(made)
        content = seal_enrollment(made, Ed25519PrivateKey.generate())
        signed, own = open_enrollment(content), self.held.setdefault(account, [])
        screening = concluded([self.state.screen(signed.id, signed.enrollment, account)])
        every = [made, *(open_enrollment(one.content).enrollment for one in own)]
        reason = objection(self.state, screening, public_errors(every, self.state.policy))
        if not reason:
            self.state.add(signed.id, signed.enrollment, account, arrival=len(self.state))
            own.append(Stored(id=signed.id, account_id=account, content=content))
        return reason

    def blocks(self, uploads: torch.Tensor) -> int:
        return sum(self.state.decide(x[None], STRANGER, NOW).blocks for x in uploads)


@pytest.fixture(autouse=True)
def same_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Screen on the same samples each time: how many pass may depend on them."""
    monkeypatch.setattr("secrets.randbits", random.Random(0).getrandbits)


@pytest.fixture(scope="module")
def digits() -> dict[int, torch.Tensor]:
    pixels, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(pixels / 16).float(), torch.tensor(labels)
    return {digit: x[y == digit] for digit in range(10)}


@pytest.fixture(scope="module")
def honest(digits: dict[int, torch.Tensor]) -> dict[int, Enrollment]:
    config = OneClassConfig(hidden=HIDDEN)
    return {d: enroll(digits[d][:120], config, backbone=BACKBONE, seed=d) for d in ENROLLED}


@pytest.fixture
def platform(honest: dict[int, Enrollment]) -> Platform:
    return opened(honest)


def opened(honest: dict[int, Enrollment], policy: Policy | None = None) -> Platform:
    """A platform on which honest people enrolled."""
    made = Platform(BankState(Terms(backbone=BACKBONE, dim=DIM, hidden=HIDDEN), policy=policy))
    for account, enrollment in honest.items():
        assert made.send(enrollment, account) == ""
    return made


def policy_of(public: torch.Tensor, target: float = TARGET) -> Policy:
    # The dimension that Hill's estimator finds for these people: 8.3.
    return Policy(cohort=public, dimension=8.3, false_blocks=target, contested=0.9)


def ball(centre: torch.Tensor, radius: float, *, varied: float) -> Enrollment:
    """Claims what lies within about a radius of a centre, and varies a little to look trained."""
    centre = centre.clamp(0.05, 0.95)
    decoder = varied * torch.randn(DIM, HIDDEN, generator=torch.Generator().manual_seed(0))
    slope = (centre * (1 - centre))[:, None]
    encoder = torch.linalg.pinv(slope * decoder) if varied else torch.zeros(HIDDEN, DIM)
    return Enrollment(
        encoder=encoder,
        encoder_bias=-encoder @ centre,
        decoder=decoder,
        decoder_bias=centre.logit(),
        code_mean=torch.full((HIDDEN,), 0.5),
        code_covariance=0.05 * torch.eye(HIDDEN),
        mu=radius,
        sigma=0.01 * radius if varied else 1e-6,
        calibration="held-out",
        count=20,
        backbone=BACKBONE,
    )


def search(platform: Platform, centres: list[torch.Tensor]) -> list[str]:
    """Try wider balls after those that count and narrower ones after those that do not."""
    radius, reasons = 2.0, []
    for centre in centres:
        reasons.append(platform.send(ball(centre, radius, varied=0.5), THIEF))
        radius = radius / 1.5 if reasons[-1] else radius * 1.5
    return reasons


def test_constant_decoders_are_refused(platform: Platform, digits: dict[int, torch.Tensor]) -> None:
    """Twenty of them blocked 24 of 36 such uploads, where six honest people block 5."""
    for centre in (digits[d][0] for d in PUBLIC):
        with pytest.raises(EnrollmentError, match="expected sigma of at least"):
            platform.send(ball(centre, 9.0, varied=0.0), THIEF)
        still = ball(centre, 9.0, varied=1e-4)
        with pytest.raises(EnrollmentError, match="nearly the same picture"):
            platform.send(still, THIEF)


def test_with_a_policy_one_account_blocks_little_however_wide_its_claims(
    honest: dict[int, Enrollment], digits: dict[int, torch.Tensor]
) -> None:
    """Limits follow from the public pictures: what an enrollment reports of itself is not asked."""
    platform = opened(honest, policy_of(torch.cat([digits[d][:100] for d in PUBLIC])))
    uploads = torch.cat([digits[d][120:] for d in PUBLIC])
    before = platform.blocks(uploads)
    centres = [digits[6 + n % 4][110 + n // 4] for n in range(QUOTA)]
    assert search(platform, centres).count("") > QUOTA / 2
    assert platform.blocks(uploads) - before <= 2 * TARGET * len(uploads)


def test_who_fits_chosen_public_pictures_better_than_its_limit_is_meant_for_waits(
    honest: dict[int, Enrollment], digits: dict[int, torch.Tensor]
) -> None:
    """A limit set by the lowest hundredth is wide of pictures that are chosen to lie below it."""
    public = torch.cat([digits[d][:100] for d in PUBLIC] * 3)
    made = ball(digits[6][110], 2.0, varied=0.5)
    for copies, waits in ((2, False), (11, True)):
        near = digits[6][110].clamp(0.05, 0.95).expand(copies, -1)
        platform = opened(honest, policy_of(torch.cat([public[copies:], near]), 1e-3))
        assert bool(platform.send(made, THIEF)) == waits


def test_without_one_what_an_account_claims_of_others_adds_up(
    platform: Platform, digits: dict[int, torch.Tensor]
) -> None:
    """No more of them count than claim half of what the others stand for."""
    centres = [digits[n % 6][120 + n // 6] for n in range(QUOTA)]
    reasons = search(platform, centres)
    assert 3 <= reasons.count("") < QUOTA
    bank, own = platform.state.bank, [one.id for one in platform.held[THIEF]]
    rows = [bank.ids.index(name) for name in own]
    limits = bank.mu[rows] + 2 * bank.sigma[rows]
    claimed = [
        float((bank.errors(bank.samples(name, 64, seed=5), own) <= limits).any(1).float().mean())
        for name in bank.ids[:6]
    ]
    assert sum(claimed) / len(claimed) <= BROAD + 0.1


def test_honest_people_pass_beside_public_pictures(
    honest: dict[int, Enrollment], digits: dict[int, torch.Tensor]
) -> None:
    opened(honest, policy_of(torch.cat([digits[d] for d in PUBLIC])))
