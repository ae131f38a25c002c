"""A service that keeps a shortlist decides as one that scores everybody."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import torch

from sfumato.errors import ConfigError
from sfumato.filter.bank import bank as bank_module
from sfumato.filter.enrollment import open_enrollment
from sfumato.filter.rule.guard import Sigmas
from sfumato.filter.rule.screening import Likeness
from sfumato.serve.bank.interface import deciding
from sfumato.serve.bank.memory import BankState
from sfumato.serve.records.rules import Rules
from sfumato.serve.records.store import Terms
from sfumato.serve.service import FilterService
from sfumato.serve.settings import ServeSettings
from tests.serve.world import World

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def state_of(world: World, *, reach: float | None) -> BankState:
    """Three digits of accounts 0 to 2, three more copies of them, and 60 that claim nothing."""
    terms = Terms(backbone=world.backbone.fingerprint, dim=64, hidden=8)
    state = BankState(terms, reach=reach)
    for account, digit in enumerate((0, 1, 6)):
        enrollment = open_enrollment(world.enrollments[digit]).enrollment
        state.add(f"digit{digit}", enrollment, account, arrival=len(state))
        again = open_enrollment(world.copy(digit)).enrollment
        pair = Likeness(overrider=f"copy{digit}", claimant=f"digit{digit}", value=0.1)
        state.add(f"copy{digit}", again, account + 10, [pair], arrival=len(state))
    for seed in range(60):
        small = open_enrollment(world.small(seed)).enrollment
        still = replace(small, code_covariance=1e-6 * small.code_covariance)
        state.add(f"small{seed}", still, 100 + seed, arrival=len(state))
    return state


@pytest.mark.parametrize("reach", [1.5, pytest.param(math.inf, marks=pytest.mark.slow)])
def test_decisions_are_those_of_full_scoring(
    world: World, monkeypatch: pytest.MonkeyPatch, reach: float
) -> None:
    monkeypatch.setattr(bank_module, "SMALL", 0)
    short, whole = state_of(world, reach=reach), state_of(world, reach=None)
    until = NOW + timedelta(hours=1)
    rules = (
        Rules(),
        Rules(alpha=0.5, account_alpha={1: 3.0}),
        Rules(enrollment_disabled={"digit0": until}, account_disabled={10: until}),
    )
    blocked = 0
    for rule in rules:
        short.rules = whole.rules = rule
        for digit in (0, 1, 6, 3):
            for picture in world.images[digit][120:126]:
                x = world.backbone(picture[None])
                for account in (0, 1, 10, 11, 999):
                    mine = short.decide(x, account, NOW)
                    theirs = whole.decide(x, account, NOW)
                    assert mine.blocks == theirs.blocks
                    if mine.blocks:
                        assert mine.enrollment == theirs.enrollment
                        assert mine.margin == pytest.approx(theirs.margin, abs=1e-4)
                        blocked += 1
    assert blocked > 50


def limits(state: BankState, alpha: float) -> torch.Tensor:
    return Sigmas(state.bank.mu, state.bank.sigma).limits(alpha)


def test_far_fewer_are_scored_and_the_erased_are_gone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bank_module, "SMALL", 0)
    state = state_of(world, reach=1.5)
    x = world.backbone(world.images[0][130][None])
    near = state.bank.score_near(x, limits=limits(state, 2.0))
    assert {"digit0", "copy0"} <= set(near.ids)
    assert len(near.ids) < 20
    state.remove("digit0")
    assert "digit0" not in state.bank.score_near(x, limits=limits(state, 2.0)).ids
    assert torch.equal(
        state.bank.score_near(x, limits=limits(state, math.inf)).rows, torch.arange(len(state))
    )


def test_the_setting_reaches_the_bank(world: World, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'bank.db'}"
    for reach in (None, 0.75):
        service = FilterService.open(
            ServeSettings(
                backbone=world.backbone_file,
                database=database,
                hidden=8,
                shortlist=reach,
                workers=0,
            )
        )
        try:
            kept = service.state.bank.shortlist
            assert (None if kept is None else kept.reach) == reach  # an empty list is false
        finally:
            service.close()
    with pytest.raises(ConfigError, match="`shortlist`"):
        ServeSettings(backbone=world.backbone_file, shortlist=-0.1)


@pytest.mark.parametrize("reach", [0.0, 0.3, 1.5, math.inf])
def test_a_decision_does_not_depend_on_what_is_scored_beside_it(
    world: World, monkeypatch: pytest.MonkeyPatch, reach: float
) -> None:
    """One picture's list must not let another picture's claim be seen that its own list misses."""
    monkeypatch.setattr(bank_module, "SMALL", 0)
    short, whole = state_of(world, reach=reach), state_of(world, reach=None)
    short.rules = whole.rules = Rules(alpha=3.0)
    x = world.backbone(torch.cat([world.images[digit][120:124] for digit in (0, 1, 6, 3, 8)]))
    for account in (0, 11, 999):
        alone = [short.decide(row[None], account, NOW) for row in x]
        for rows in (slice(0, 20), slice(0, 20, 3), slice(7, 13)):
            together, expected = short.decide(x[rows], account, NOW), deciding(alone[rows])
            assert together.enrollment == expected.enrollment
            assert together.blocks == expected.blocks
            assert together.score == pytest.approx(expected.score, rel=1e-4)
        for row, found in zip(x, alone, strict=True):
            full = whole.decide(row[None], account, NOW)
            assert full.blocks or not found.blocks
            if math.isinf(reach):
                assert found.enrollment == full.enrollment
                assert found.margin == pytest.approx(full.margin, rel=1e-4)
