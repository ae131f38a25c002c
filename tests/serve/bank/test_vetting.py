"""One account cannot claim everybody's pictures, with the answers as its guide or without."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sklearn.datasets import load_digits

from sfumato.errors import EnrollmentError
from sfumato.features.policy import Policy
from sfumato.filter.bank.bank import Bank
from sfumato.filter.enroll import enroll
from sfumato.filter.enrollment import Enrollment, open_enrollment, seal_enrollment
from sfumato.filter.oneclass import OneClassConfig
from sfumato.filter.rule.calibration import anchors, tail_dimension
from sfumato.filter.rule.claiming import MOST_TIMES, false_claims
from sfumato.filter.rule.guard import ALPHA
from sfumato.filter.rule.screening import BROAD, CONTESTED
from sfumato.serve.bank.memory import BankState
from sfumato.serve.bank.vetting import check_itself, objection
from sfumato.serve.records.store import Stored, Terms

HIDDEN, DIM, BACKBONE = 8, 64, "0" * 64
NOW = datetime(2026, 11, 27, tzinfo=UTC)
QUOTA = 20
THIEF, STRANGER = 77, 99
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
        reason = objection(self.state, signed, account, own)
        if not reason:
            self.state.add(signed.id, signed.enrollment, account)
            own.append(Stored(id=signed.id, account_id=account, content=content))
        return reason

    def search(self, centres: list[torch.Tensor]) -> list[str]:
        """Send wider balls after those that count, and narrower ones after those that do not."""
        radius, reasons = 2.0, []
        for centre in centres:
            reasons.append(self.send(ball(centre, radius, varied=0.5), THIEF))
            radius = radius / 1.5 if reasons[-1] else radius * 1.5
        return reasons

    def blocks(self, uploads: torch.Tensor) -> int:
        return sum(self.state.decide(x[None], STRANGER, NOW).blocks for x in uploads)


@pytest.fixture(scope="module")
def digits() -> dict[int, torch.Tensor]:
    pixels, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(pixels / 16).float(), torch.tensor(labels)
    return {digit: x[y == digit] for digit in range(10)}


@pytest.fixture(scope="module")
def honest(digits: dict[int, torch.Tensor]) -> dict[int, Enrollment]:
    config = OneClassConfig(hidden=HIDDEN)
    return {d: enroll(digits[d][:120], config, backbone=BACKBONE, seed=d) for d in ENROLLED}


@pytest.fixture(scope="module")
def policy(honest: dict[int, Enrollment], digits: dict[int, torch.Tensor]) -> Policy:
    """What calibration finds on digits that nobody enrolls."""
    together = Bank.empty(DIM, HIDDEN, backbone=BACKBONE)
    for digit, enrollment in honest.items():
        together.add(str(digit), enrollment)
    public = torch.cat([digits[d] for d in PUBLIC])
    cohort, rest = public[::2], public[1::2]
    dimension = tail_dimension(anchors(together.errors(cohort)), together.errors(rest))
    return Policy(cohort=cohort, dimension=dimension, false_blocks=0.02, contested=CONTESTED)


def opened(honest: dict[int, Enrollment], policy: Policy | None = None) -> Platform:
    """A platform on which honest people enrolled, all of whom count at once."""
    terms = Terms(backbone=BACKBONE, dim=DIM, hidden=HIDDEN)
    made = Platform(BankState(terms, policy=policy))
    for account, enrollment in honest.items():
        assert made.send(enrollment, account) == ""
    return made


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


def test_constant_decoders_are_refused(
    honest: dict[int, Enrollment], digits: dict[int, torch.Tensor]
) -> None:
    """Twenty of them blocked 24 of 36 such uploads, where six honest people block 5."""
    platform = opened(honest)
    for centre in (digits[d][0] for d in PUBLIC):
        with pytest.raises(EnrollmentError, match="expected sigma of at least"):
            platform.send(ball(centre, 9.0, varied=0.0), THIEF)
        with pytest.raises(EnrollmentError, match="nearly the same picture"):
            platform.send(ball(centre, 9.0, varied=1e-4), THIEF)


def test_with_public_pictures_one_account_blocks_little_whatever_it_reports(
    honest: dict[int, Enrollment], digits: dict[int, torch.Tensor], policy: Policy
) -> None:
    platform = opened(honest, policy)
    uploads = torch.cat([digits[d][120:145] for d in PUBLIC])
    before = platform.blocks(uploads)
    platform.search([digits[6 + n % 4][150 + n // 4] for n in range(QUOTA)])
    assert len(platform.held[THIEF]) >= 3
    most = 2 * MOST_TIMES * policy.false_blocks  # twice, for the public pictures are few
    assert platform.blocks(uploads) - before <= most * len(uploads)


def test_without_them_what_an_account_claims_of_others_adds_up(
    honest: dict[int, Enrollment], digits: dict[int, torch.Tensor]
) -> None:
    """No more of them count than claim half of what the others stand for."""
    platform = opened(honest)
    reasons = platform.search([digits[n % 6][120 + n // 6] for n in range(QUOTA)])
    assert 3 <= reasons.count("") < QUOTA
    bank, own = platform.state.bank, [one.id for one in platform.held[THIEF]]
    rows = [bank.ids.index(name) for name in own]
    limits = bank.mu[rows] + ALPHA * bank.sigma[rows]
    claimed = [
        false_claims(bank.errors(bank.samples(name, 64, seed=5), own), limits)
        for name in bank.ids[:6]
    ]
    assert sum(claimed) / len(claimed) <= BROAD + 0.1


def test_what_an_account_claims_of_the_public_adds_up(
    honest: dict[int, Enrollment], digits: dict[int, torch.Tensor], policy: Policy
) -> None:
    """With a tail as slow as a ball's must not have, each of these claims up to the anchor."""
    slow = replace(policy, dimension=1e4)
    platform = opened(honest, slow)
    made = [ball(digits[d][150 + n], 1.6, varied=0.5) for n in range(5) for d in PUBLIC]
    reasons = [platform.send(one, THIEF) for one in made]
    refused = next(i for i, reason in enumerate(reasons) if "public pictures" in reason)
    assert refused > 0
    assert opened(honest, slow).send(made[refused], THIEF) == ""
