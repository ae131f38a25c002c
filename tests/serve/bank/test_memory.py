"""The bank in memory: what is erased leaves nothing, and what is timed ends in time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import torch

from sfumato.filter.bank import bank as bank_module
from sfumato.filter.enrollment import Enrollment, open_enrollment
from sfumato.filter.rule.screening import Comparison, Likeness
from sfumato.serve.bank.memory import BankState, Upload
from sfumato.serve.records.rules import Rules
from sfumato.serve.records.store import Terms
from tests.serve.world import HIDDEN, World

NOW = datetime(2026, 11, 21, tzinfo=UTC)
STRANGER = 99


def empty(world: World, *, reach: float | None = None) -> BankState:
    terms = Terms(backbone=world.backbone.fingerprint, dim=64, hidden=HIDDEN)
    return BankState(terms, reach=reach)


def enrollment(world: World, digit: int) -> Enrollment:
    return open_enrollment(world.enrollments[digit]).enrollment


def feature(world: World, digit: int) -> torch.Tensor:
    return world.backbone(world.images[digit][0][None])


def test_a_newcomer_cannot_foresee_the_samples_it_is_screened_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They follow from what the operating system draws, for each newcomer anew."""
    drawn_bits: list[int] = []

    def randbits(count: int) -> int:
        drawn_bits.append(count)
        return len(drawn_bits)

    monkeypatch.setattr("secrets.randbits", randbits)
    state, copy = empty(world), enrollment(world, 0)
    state.add("victim", copy, 1, arrival=len(state))

    def values(found: Comparison) -> tuple[float, ...]:
        return tuple(pair.value for pair in found.contested)

    drawn = {tuple(sorted(values(state.screen("attacker", copy, 2)))) for _ in range(3)}
    seeded = tuple(pair.value for pair in state.compare("attacker", copy, 2, 0).contested)
    assert len({*drawn, tuple(sorted(seeded))}) == 4
    assert drawn_bits == [32] * 3
    assert all(len(found) == 2 for found in drawn)
    assert state.compare("attacker", copy, 2, 5) == state.compare("attacker", copy, 2, 5)


def test_the_owners_own_are_not_compared_and_screening_adds_nothing(world: World) -> None:
    state, copy = empty(world), enrollment(world, 0)
    state.add("first", copy, 1, arrival=len(state))
    assert state.screen("second", copy, 1) == Comparison((), ())
    assert state.screen("second", copy, 2).contested
    assert len(state) == 1


def pairs(state: BankState, world: World) -> set[tuple[str, str]]:
    """What the bank says is contested, to whoever joins several parts of one."""
    (front,) = state.fronts([Upload(feature(world, 0), STRANGER, NOW)])
    return set(front.pairs)


def test_nothing_of_the_erased_is_left_in_any_pair(world: World) -> None:
    state = empty(world)
    likenesses = [
        Likeness(overrider=a, claimant=b, value=0.1) for a, b in ("xy", "yx", "yz", "zy", "zw")
    ]
    for account, name in enumerate("xyz"):
        state.add(name, enrollment(world, 0), account, likenesses, arrival=len(state))
    assert len(pairs(state, world)) == 5
    state.remove("y")
    assert pairs(state, world) == {("z", "w")}
    assert len(state) == 2
    state.remove("w")  # of another part: only its pairs are here
    assert pairs(state, world) == set()
    state.add("y", enrollment(world, 0), 1, arrival=len(state))
    assert pairs(state, world) == set()


def test_of_two_timed_disablings_each_ends_at_its_own_time(world: World) -> None:
    state = empty(world)
    for account, digit in enumerate((0, 1)):
        state.add(str(digit), enrollment(world, digit), account, arrival=len(state))

    def blocked(hours: float) -> list[bool]:
        now = NOW + timedelta(hours=hours)
        return [state.decide(feature(world, digit), STRANGER, now).blocks for digit in (0, 1)]

    assert blocked(0) == [True, True]
    ends = {"0": NOW + timedelta(hours=1), "1": NOW + timedelta(hours=3)}
    state.rules = Rules(enrollment_disabled=ends)
    assert [blocked(hours) for hours in (0, 1, 2, 3)] == [
        [False, False],
        [True, False],
        [True, False],
        [True, True],
    ]


@pytest.mark.parametrize("barred", [("own", "far"), ("far", "claim")])
def test_a_pair_of_which_one_is_not_listed_bars_nobody_else(
    world: World, barred: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a shortlist the columns are few, and such a pair must not come to mean others."""
    monkeypatch.setattr(bank_module, "SMALL", 0)
    made = enrollment(world, 0)
    worse = replace(made, decoder_bias=made.decoder_bias + 0.02, sigma=50 * made.sigma)
    still = 1e-6 * torch.eye(HIDDEN)
    small = open_enrollment(world.small(1)).enrollment
    for reach in (None, 1.5):
        state = empty(world, reach=reach)
        for number in range(6):
            state.add(
                f"small{number}",
                replace(small, code_covariance=still),
                100 + number,
                arrival=len(state),
            )
        pair = Likeness(overrider=barred[0], claimant=barred[1], value=0.1)
        state.add("far", replace(small, code_covariance=still), 200, [pair], arrival=len(state))
        state.add("own", made, 1, arrival=len(state))
        state.add("claim", worse, 2, arrival=len(state))
        x = feature(world, 0)
        assert state.decide(x, STRANGER, NOW).blocks
        assert not state.decide(x, 1, NOW).blocks
        # The pair means what it says where both are listed.
        state.add(
            "x",
            small,
            300,
            [Likeness(overrider="own", claimant="claim", value=0.1)],
            arrival=len(state),
        )
        assert state.decide(x, 1, NOW).blocks


@pytest.mark.parametrize("most", [1, 2, 3])
def test_however_many_are_scored_at_once_the_decisions_are_the_same(
    world: World, most: int
) -> None:
    state = empty(world)
    for digit in (0, 1):
        state.add(f"e{digit}", enrollment(world, digit), 1 + digit, arrival=digit)
    features = [feature(world, digit) for digit in (0, 1, 2, 1, 0)]
    uploads = [Upload(one, STRANGER, NOW) for one in features]
    uploads.append(Upload(torch.cat(features[:3]), STRANGER, NOW))
    singly = [state.decide(one.features, STRANGER, NOW) for one in uploads]
    state.most = most
    together = state.decide_each(uploads)
    assert [(m.enrollment, m.view) for m in together] == [(m.enrollment, m.view) for m in singly]


def test_hashes_near_to_somebody_elses_are_counted_and_to_ones_own_are_not(world: World) -> None:
    hashes = torch.randint(0, 256, (3, 32), dtype=torch.uint8, generator=seeded(0))
    state = empty(world)
    assert not state.asks_hashes
    state.add("first", replace(enrollment(world, 0), copies=hashes), 1, arrival=0)
    assert state.asks_hashes
    near = hashes.clone()
    near[:2, 0] ^= 255  # 8 of 256 bits
    near[2] ^= 255
    newcomer = replace(enrollment(world, 1), copies=near)
    assert state.compare("new", newcomer, 2, 0).copied == 2
    assert state.compare("new", newcomer, 1, 0).copied == 0
    assert state.compare("new", newcomer, 2, 0, among=["first"]).copied == 2
    assert state.compare("new", newcomer, 2, 0, among=["other"]).copied == 0
    assert state.compare("new", replace(newcomer, copies=None), 2, 0).copied == 0


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
