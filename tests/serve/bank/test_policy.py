"""A bank with a policy blocks what is rarer among strangers than its target, at any size."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch
from sqlalchemy import func, select

from sfumato.features.policy import Policy
from sfumato.filter.enrollment import Enrollment, open_enrollment
from sfumato.filter.rule.calibration import LEVEL
from sfumato.serve.bank.memory import BankState
from sfumato.serve.database.db import open_database, reading
from sfumato.serve.database.tables import AnchorRow
from sfumato.serve.records.auth import add_account
from sfumato.serve.records.erasures import erase
from sfumato.serve.records.rules import Rules
from sfumato.serve.records.store import Store, Stored, Terms
from tests.serve.world import HIDDEN, World

NOW = datetime(2026, 11, 21, tzinfo=UTC)
STRANGER = 99
ENROLLED = (0, 1, 6)
PUBLIC = (2, 3, 4, 5, 7, 8, 9)


@pytest.fixture(scope="module")
def policy(world: World) -> Policy:
    cohort = torch.cat([world.backbone(world.images[digit][:60]) for digit in PUBLIC])
    return Policy(cohort=cohort, dimension=8.0, false_blocks=0.05, contested=0.9)


def terms_of(world: World) -> Terms:
    return Terms(backbone=world.backbone.fingerprint, dim=64, hidden=HIDDEN)


def filled(world: World, policy: Policy | None) -> BankState:
    state = BankState(terms_of(world), policy=policy)
    for account, digit in enumerate(ENROLLED):
        state.add(
            str(digit),
            open_enrollment(world.enrollments[digit]).enrollment,
            account,
            arrival=len(state),
        )
    return state


def rarity(world: World, policy: Policy, digit: int, x: torch.Tensor, size: int) -> float:
    """The slow way: one enrollment, one picture, the formula as it is told."""
    e = open_enrollment(world.enrollments[digit]).enrollment

    def error(one: torch.Tensor) -> float:
        code = (e.encoder @ one + e.encoder_bias).relu()
        return float((one - (e.decoder @ code + e.decoder_bias).sigmoid()).square().sum())

    anchor = torch.tensor([error(one) for one in policy.cohort]).quantile(LEVEL)
    ratio = error(x) / float(anchor)
    found = math.log10(size * LEVEL * ratio**policy.dimension)
    return found if ratio <= 1 else found - math.log10(size * LEVEL)


def test_a_decision_is_the_formula(world: World, policy: Policy) -> None:
    state = filled(world, policy)
    target = math.log10(policy.false_blocks)
    for digit in (0, 6, 3):
        x = world.backbone(world.images[digit][130][None])
        rarest = min(rarity(world, policy, owner, x[0], 3) for owner in ENROLLED)
        found = state.decide(x, STRANGER, NOW)
        assert found.score == pytest.approx(rarest, abs=1e-3)
        assert found.margin == pytest.approx(target - rarest, abs=1e-3)


def test_strangers_are_blocked_as_rarely_as_promised(world: World, policy: Policy) -> None:
    state = filled(world, policy)
    unseen = torch.cat([world.images[digit][60:] for digit in PUBLIC])
    own = torch.cat([world.images[digit][120:] for digit in ENROLLED])

    def blocked(pictures: torch.Tensor) -> float:
        rows = world.backbone(pictures).split(1)
        return sum(state.decide(row, STRANGER, NOW).blocks for row in rows) / len(rows)

    assert blocked(unseen) < 2 * policy.false_blocks
    assert blocked(own) > 0.6
    state.rules = Rules(false_blocks=1e-6)
    assert blocked(own) < 0.6


def test_a_larger_bank_asks_for_a_rarer_match(world: World, policy: Policy) -> None:
    state = filled(world, policy)
    x = world.backbone(world.images[0][130][None])
    before = state.decide(x, STRANGER, NOW).score
    for seed in range(27):  # they claim nothing, and count all the same
        state.add(
            f"small{seed}",
            open_enrollment(world.small(seed)).enrollment,
            50 + seed,
            arrival=len(state),
        )
    after = state.decide(x, STRANGER, NOW).score
    assert before is not None
    assert after == pytest.approx(before + 1, abs=1e-4)
    for seed in range(27):
        state.remove(f"small{seed}")
    assert state.decide(x, STRANGER, NOW).score == pytest.approx(before, abs=1e-6)


def test_who_enrolls_stolen_pictures_later_neither_shares_them_nor_takes_them(
    world: World, policy: Policy
) -> None:
    """The attacker's enrollment reconstructs them better than their owner's own."""
    better = open_enrollment(world.enrollments[0]).enrollment
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(better.decoder.shape, generator=generator)
    worse = replace(better, decoder=better.decoder + 0.3 * noise)
    idle = open_enrollment(world.small(0)).enrollment  # it claims nothing
    rows = world.backbone(world.images[0][120:]).split(1)

    def shared(first: Enrollment, second: Enrollment, account: int) -> int:
        state = BankState(terms_of(world), policy=policy)
        state.add("first", first, 1, arrival=1)
        state.add("second", second, 2, arrival=2)
        return sum(not state.decide(row, account, NOW).blocks for row in rows)

    claimed = len(rows) - shared(worse, idle, STRANGER)
    assert 0 < claimed < len(rows)
    assert shared(worse, better, 2) <= len(rows) - claimed
    assert shared(worse, better, 1) >= claimed
    assert shared(better, better, 1) == len(rows)


def test_the_order_of_arrival_survives_a_restart_and_a_removal(
    world: World, policy: Policy, tmp_path: Path
) -> None:
    """Removing an enrollment moves the last one into its column."""
    store = Store(open_database(f"sqlite:///{tmp_path}/bank.db"))
    store.fix_terms(terms_of(world))
    names = ("somebody", "first", "later")
    accounts = [add_account(store.engine, name, with_token=False)[0] for name in names]
    contents = [world.enrollments[1], world.enrollments[0], world.copy(0)]
    for account, content in zip(accounts, contents, strict=True):
        stored = Stored(id=open_enrollment(content).id, account_id=account.id, content=content)
        store.insert(stored, status="active", reason="")
    state = BankState.load(store, terms_of(world), policy=policy)
    state.remove(open_enrollment(contents[0]).id)
    rows = world.backbone(world.images[0][120:]).split(1)
    blocked = [
        sum(state.decide(row, account.id, NOW).blocks for row in rows) for account in accounts
    ]
    assert blocked[0] == blocked[2] > 0
    assert blocked[1] == 0
    store.engine.dispose()


def test_an_account_may_have_a_target_of_its_own(world: World, policy: Policy) -> None:
    state = filled(world, policy)
    for other in ENROLLED[1:]:
        state.remove(str(other))
    rows = world.backbone(world.images[0][120:]).split(1)
    found = [state.decide(row, STRANGER, NOW) for row in rows]
    scores = [match.score for match in found if match.score is not None]
    assert sum(score <= math.log10(policy.false_blocks) for score in scores) > len(rows) / 2
    for share in (1e-6, 1e-3, 0.5):
        state.rules = Rules(account_false_blocks={0: share})
        blocked = [state.decide(row, STRANGER, NOW).blocks for row in rows]
        assert blocked == [score <= math.log10(share) for score in scores]
        state.rules = Rules(account_false_blocks={7: share})
        others = [state.decide(row, STRANGER, NOW).blocks for row in rows]
        assert others == [match.blocks for match in found]


def test_anchors_are_kept_with_their_policy_and_go_with_their_enrollment(
    world: World, policy: Policy, tmp_path: Path
) -> None:
    store = Store(open_database(f"sqlite:///{tmp_path}/bank.db"))
    store.fix_terms(terms_of(world))
    account = add_account(store.engine, "ada", with_token=False)[0].id
    for digit in ENROLLED:
        content = world.enrollments[digit]
        stored = Stored(id=open_enrollment(content).id, account_id=account, content=content)
        store.insert(stored, status="active", reason="")
    loaded = BankState.load(store, terms_of(world), policy=policy)
    kept = store.anchors(policy.digest)
    assert set(kept) == set(loaded.bank.ids)

    x = world.backbone(world.images[0][130][None])
    again = BankState.load(store, terms_of(world), policy=policy)
    assert again.decide(x, STRANGER, NOW) == loaded.decide(x, STRANGER, NOW)
    other = Policy(cohort=policy.cohort[:250], dimension=8.0, false_blocks=0.05, contested=0.9)
    BankState.load(store, terms_of(world), policy=other)
    assert store.anchors(policy.digest) == kept
    assert store.anchors(other.digest) != kept

    erase(store, next(iter(kept)), actor="test")
    with reading(store.engine) as session:
        assert session.scalar(select(func.count()).select_from(AnchorRow)) == 4
    store.engine.dispose()
