"""What a platform draws out of uploaded autoencoders."""

from __future__ import annotations

import pytest
import torch

from sfumato.attack.on_filter.enrollment_leak import (
    Evidence,
    drawn_samples,
    enrollment_leak,
)
from sfumato.data.sources import load
from sfumato.filter.enrolled import EnrolledUsers, enroll_all
from sfumato.filter.oneclass import OneClassConfig
from sfumato.types import Finding

SHAPE = (1, 8, 8)


@pytest.fixture(scope="module")
def truth() -> Evidence:
    digits = load("digits")
    rows = [digits.where("digit", str(k)).floats().flatten(1) for k in range(4)]
    return Evidence(
        members=[x[:60] for x in rows[:3]],
        public=rows[3],
    )


@pytest.fixture(scope="module")
def users(truth: Evidence) -> EnrolledUsers:
    return enroll_all(truth.members, OneClassConfig.preset("plain", hidden=12, epochs=300), seed=0)


@pytest.fixture(scope="module")
def findings(users: EnrolledUsers, truth: Evidence) -> dict[str, Finding]:
    return {f.metric: f for f in enrollment_leak(users, truth, shape=SHAPE, seed=0)}


def test_the_decoded_mean_code_gives_the_mean_picture_away(findings: dict[str, Finding]) -> None:
    assert findings["mean, with code statistics"].value > 0.9
    assert findings["mean, with code statistics"].details.psnr > 15


def test_public_inputs_alone_draw_pictures(findings: dict[str, Finding]) -> None:
    assert 0.1 < findings["pictures, weights alone"].value < 1


def test_having_the_statistics_never_hurts(findings: dict[str, Finding]) -> None:
    for metric in ("mean", "pictures"):
        alone = findings[f"{metric}, weights alone"].value
        assert findings[f"{metric}, with code statistics"].value >= alone


def test_every_finding_has_its_floor_ceiling_and_victims(findings: dict[str, Finding]) -> None:
    assert len(findings) == 4
    for finding in findings.values():
        assert finding.floor < finding.ceiling == 1.0
        assert finding.interval[0] <= finding.value <= finding.interval[1]
        assert len(finding.details.victims) == 3


def test_a_picture_that_was_enrolled_alone_is_drawn_exactly() -> None:
    one = torch.rand(1, 64, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1
    members = one.repeat(12, 1)
    users = enroll_all([members], OneClassConfig.preset("plain", hidden=4, epochs=400), seed=0)
    drawn = drawn_samples(users, one, 5, statistics=True, seed=0)
    assert float((drawn - one).abs().max()) < 0.05
