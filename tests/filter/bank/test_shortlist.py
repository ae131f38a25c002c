"""The shortlist: what its formula says, in step with its bank, and full of nobody's lies."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.data.sources import load
from sfumato.errors import ConfigError
from sfumato.filter.bank import bank as bank_module
from sfumato.filter.bank import shortlist
from sfumato.filter.bank.bank import Bank
from sfumato.filter.bank.shortlist import Shortlist, reconstructions
from sfumato.filter.enrolled import enroll_all
from sfumato.filter.enrollment import Enrollment
from sfumato.filter.oneclass import OneClassConfig
from sfumato.filter.rule.guard import Sigmas
from tests.filter.bank.test_bank import BACKBONE, features, made

DIM, HIDDEN = 6, 3
ALPHA = -1.0  # few pictures each give wide sigmas; here about half of the uploads are claimed


@pytest.fixture(autouse=True)
def _no_bank_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bank_module, "SMALL", 0)


def kept(
    count: int, reach: float, dtype: torch.dtype = torch.float32
) -> tuple[Bank, dict[str, Enrollment]]:
    bank = Bank.empty(DIM, HIDDEN, backbone=BACKBONE, dtype=dtype, reach=reach)
    people = {f"p{i}": made(DIM, HIDDEN, i) for i in range(count)}
    for id_, enrollment in people.items():
        bank.add(id_, enrollment)
    return bank, people


def listed(bank: Bank) -> Shortlist:
    assert bank.shortlist is not None
    return bank.shortlist


def limits(bank: Bank, alpha: float) -> torch.Tensor:
    return Sigmas(bank.mu, bank.sigma).limits(alpha)


def slowly(e: Enrollment, x: torch.Tensor, alpha: float, reach: float) -> float:
    """How far outside the list's edge x is, number by number, in double precision."""
    mean = 1 / (1 + torch.exp(-(e.decoder.double() @ e.code_mean.double().relu() + e.decoder_bias)))
    spread = 0.0
    for j, value in enumerate(mean.tolist()):
        row = e.decoder[j].double() * value * (1 - value)
        spread += float(row @ e.code_covariance.double() @ row)
    edge = e.mu + alpha * e.sigma
    if edge < 0:
        return math.inf
    return float((x.double() - mean).norm()) - math.sqrt(edge) - reach * math.sqrt(spread)


@settings(max_examples=30)
@given(seed=st.integers(0, 99), alpha=st.floats(-3.0, 3.0), reach=st.floats(0.0, 2.0))
def test_it_lists_whom_the_formula_names(seed: int, alpha: float, reach: float) -> None:
    bank, people = kept(20, reach)
    x = features(1, DIM, seed)
    outside = [slowly(e, x[0], alpha, reach) for e in people.values()]
    near = set(listed(bank).near(x, limits(bank, alpha)).tolist())
    for row, distance in enumerate(outside):
        if abs(distance) > 1e-4:
            assert (row in near) == (distance < 0)


def crowd(count: int, dim: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Means in clusters, spreads and limits; some are what an adversary would send."""
    draw = torch.Generator().manual_seed(seed)
    centres = torch.rand(7, dim, generator=draw)
    which = torch.randint(7, (count,), generator=draw)
    noise = 0.2 * torch.randn(count, dim, generator=draw)
    means = (centres[which] + noise).clamp(0, 1)
    spread = torch.rand(count, generator=draw) * 0.3
    limits = torch.rand(count, generator=draw) * dim / 40
    for value, tensor in (
        (0.0, limits),  # a point of its own
        (-1.0, limits),  # claims nothing
        (float(dim), limits),  # claims everything
        (torch.inf, spread),
        (torch.nan, spread),
        (1e30, spread),
    ):
        tensor[torch.randint(count, (2,), generator=draw)] = value
    means[torch.randint(count, (2,), generator=draw)] = torch.nan
    means[-9:] = means[:9]  # copies
    means[-12] = 1.0
    means[-13] = 0.0
    return means, spread, limits


@settings(max_examples=25, deadline=None)
@given(
    count=st.integers(30, 2500),
    dim=st.sampled_from([1, 5, 31, 32, 33, 63, 64, 128, 300]),
    batch=st.integers(1, 4),
    reach=st.sampled_from([0.0, 0.5, 3.0]),
    seed=st.integers(0, 999),
)
def test_the_fast_way_lists_whom_the_slow_one_lists(
    count: int, dim: int, batch: int, reach: float, seed: int
) -> None:
    """Whatever enrollments say of themselves: sketches leave out nobody whom the formula lists."""
    means, spread, limits = crowd(count, dim, seed)
    mine = Shortlist(dim, reach=reach)
    mine.rows_a_block = 400
    for some, spreads in zip(means.split(700), spread.split(700), strict=True):
        mine.append_rows(some, spreads)
    draw = torch.Generator().manual_seed(seed + 1)
    x = torch.cat([means[torch.randint(count, (batch,), generator=draw)], means[:1]])[1:]
    x = (x.nan_to_num(0.5) + 0.05 * torch.randn(x.shape, generator=draw)).clamp(0, 1)
    x[0] = x[0].round()  # as far out as a feature may be
    radius = limits.clamp(min=0).sqrt() + reach * spread
    apart = torch.stack([(means.double() - row.double()).norm(dim=1) for row in x], 1)
    wanted = ~(apart > radius.double()[:, None]) & ~(limits < 0)[:, None]
    found = mine.listed(x, limits)
    assert found.rows.tolist() == wanted.any(1).nonzero()[:, 0].tolist()
    assert torch.equal(found.who, wanted[found.rows])
    gone = int(torch.randint(count, (1,), generator=draw))
    mine.remove(gone)
    kept_rows = torch.arange(count)
    kept_rows[gone] = count - 1
    again = mine.listed(x, limits[kept_rows[:-1]])
    assert again.rows.tolist() == wanted[kept_rows[:-1]].any(1).nonzero()[:, 0].tolist()


def test_an_adversary_who_claims_everything_costs_one_score_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody else is measured for their sake, and nobody is hidden by them."""
    means, spread, limits = crowd(4000, 128, 0)
    measured: list[int] = []
    measure = shortlist.measured

    def counted(*arguments: Any) -> torch.Tensor:
        measured.append(len(arguments[3]))
        return measure(*arguments)

    monkeypatch.setattr(shortlist, "measured", counted)

    def asked(means: torch.Tensor, spread: torch.Tensor, limits: torch.Tensor) -> int:
        measured.clear()
        mine = Shortlist(128, reach=0.5)
        mine.append_rows(means, spread)
        rows = set(mine.near(means[17:18].nan_to_num(0.5), limits).tolist())
        assert 17 in rows
        return sum(measured)

    honest = asked(means, spread, limits)
    evil = 500
    more = asked(
        torch.cat([means, torch.rand(evil, 128)]),
        torch.cat([spread, torch.full((evil,), 1e30)]),
        torch.cat([limits, torch.full((evil,), 128.0)]),
    )
    assert evil <= more <= honest + evil + 100  # the directions are others now
    assert honest < 1500


def test_what_follows_from_limits_is_kept_for_one_tensor_and_one_state_of_the_bank() -> None:
    mine = Shortlist(8, reach=0.0)
    means = torch.rand(50, 8)
    mine.append_rows(means, torch.zeros(50))
    all_of_it, nothing = torch.full((50,), 8.0), torch.full((50,), -1.0)
    for _ in range(2):
        assert len(mine.near(means[:1], all_of_it)) == 50
        assert len(mine.near(means[:1], nothing)) == 0
        assert len(mine.near(means[:1], nothing)) == 0
    exact = torch.zeros(50)
    assert len(mine.near(means[:1], exact)) == 1
    mine.reach = 1.0  # times no spread
    assert len(mine.near(means[:1], exact)) == 1
    mine.blocks[0].spread[:50] = 9.0
    assert len(mine.near(means[:1], exact)) == 1  # kept
    mine.reach = 2.0
    assert len(mine.near(means[:1], exact)) == 50
    mine.remove(3)
    assert len(mine.near(means[:1], all_of_it[:-1])) == 49


def test_the_spread_is_that_of_small_changes_of_the_code() -> None:
    e = made(DIM, HIDDEN, 4)
    code = e.code_mean.relu() + 2  # away from the fold of the ReLU
    small = 1e-4 * e.code_covariance.double()
    mean, spread = reconstructions(e.decoder, e.decoder_bias, code, small.float())
    root = torch.linalg.cholesky(small)
    codes = code + torch.randn(20_000, HIDDEN, dtype=torch.float64) @ root.T
    decoded = (codes @ e.decoder.T.double() + e.decoder_bias).sigmoid()
    measured = float(((decoded - mean) ** 2).sum(1).mean().sqrt())
    assert measured == pytest.approx(float(spread), rel=0.03)


@settings(max_examples=30)
@given(seed=st.integers(0, 99), alpha=st.floats(0.0, 9.0), reach=st.floats(0.0, 2.0))
def test_no_claim_is_missed_whose_reconstruction_is_within_reach(
    seed: int, alpha: float, reach: float
) -> None:
    bank, people = kept(20, reach)
    x = features(40, DIM, seed)
    near = set(listed(bank).near(x[:1], limits(bank, alpha)).tolist())
    for row, e in enumerate(people.values()):
        y = ((x[0] @ e.encoder.T + e.encoder_bias).relu() @ e.decoder.T + e.decoder_bias).sigmoid()
        mean, spread = reconstructions(e.decoder, e.decoder_bias, e.code_mean, e.code_covariance)
        claimed = float((x[0] - y).square().sum()) <= e.mu + alpha * e.sigma
        if claimed and float((y - mean).norm()) <= reach * float(spread) - 1e-4:
            assert row in near


@settings(max_examples=25)
@given(
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=40),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
)
def test_it_stays_in_step_with_its_bank(steps: list[tuple[bool, int]], dtype: torch.dtype) -> None:
    bank = Bank.empty(DIM, HIDDEN, backbone=BACKBONE, dtype=dtype, reach=0.5)
    listed(bank).rows_a_block = 4  # several blocks
    x = features(2, DIM)
    for adds, i in steps:
        name = f"p{i}"
        if adds and name not in bank:
            bank.add(name, made(DIM, HIDDEN, i))
        elif not adds and name in bank:
            bank.remove(name)
    fresh = Shortlist.of(bank.segments, DIM, reach=0.5)
    mine = listed(bank)
    assert len(mine) == len(fresh) == len(bank)
    assert torch.equal(mine.near(x, limits(bank, 1.0)), fresh.near(x, limits(bank, 1.0)))
    rows = [b.means[: b.count] for b in mine.blocks]
    if rows:
        assert torch.equal(torch.cat(rows), fresh.blocks[0].means[: len(fresh)])
    scores = bank.score_near(x, limits=limits(bank, 1.0))
    assert set(scores.ids) <= set(bank.ids)
    columns = [bank.ids.index(name) for name in scores.ids]
    assert scores.rows.tolist() == columns
    torch.testing.assert_close(scores.errors, bank.errors(x)[:, columns])
    assert torch.equal(scores.mu, bank.mu[columns])
    assert torch.equal(scores.sigma, bank.sigma[columns])


def test_the_erased_are_wiped_and_never_come_back() -> None:
    bank, _ = kept(9, math.inf)
    gone = listed(bank).blocks[0].means[3].clone()
    bank.remove("p3")
    assert "p3" not in bank.score_near(features(3, DIM), limits=limits(bank, 9.0)).ids
    means = listed(bank).blocks[0].means
    assert not bool((means == gone).all(1).any())
    block = listed(bank).blocks[0]
    assert bool(block.sketches[:, 7].any())
    assert not bool(block.sketches[:, 8:].any())
    assert torch.equal(block.sketches[:, 3], listed(bank).sketch(means[3:4])[0])
    for name in bank.ids:
        bank.remove(name)
    assert len(listed(bank)) == 0
    assert not bool(means.any() or block.sketches.any() or block.spread.any())


def test_sketches_that_give_way_to_better_ones_are_wiped() -> None:
    mine = Shortlist(40, reach=0.5)
    mine.append_rows(torch.rand(1000, 40), torch.zeros(1000))
    before = mine.blocks[0].sketches
    mine.append_rows(torch.rand(100, 40), torch.zeros(100))
    assert mine.blocks[0].sketches is not before
    assert not bool(before.any())


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("off", [0.0, 1e-30, 1e-22, 1e-9, 3e-4])
def test_what_rounding_could_decide_is_decided_in_float64(batch: int, off: float) -> None:
    """Squares that underflow, and rows at their very edge, a hair inside and a hair outside."""
    means = torch.zeros(60, 40)
    means[:, 0] = off
    limits = torch.full((60,), off).square() * torch.linspace(0.998, 1.002, 60)
    mine = Shortlist(40, reach=0.0)
    mine.append_rows(means, torch.zeros(60))
    x = torch.zeros(batch, 40)
    wanted = (means[:, 0].double() <= limits.sqrt().double()).nonzero()[:, 0]
    assert mine.near(x, limits).tolist() == wanted.tolist()


@pytest.mark.parametrize("batch", [1, 5])
def test_with_everybody_listed_it_is_the_exact_bank(batch: int) -> None:
    bank, _ = kept(40, math.inf)
    x = features(batch, DIM)
    near, exact = bank.score_near(x, limits=limits(bank, 0.0)), bank.score(x)
    assert near.ids == exact.ids
    for name in ("errors", "mu", "sigma", "rows"):
        assert torch.equal(getattr(near, name), getattr(exact, name))


def test_rows_that_are_named_are_always_scored() -> None:
    bank, _ = kept(30, 0.0)
    scores = bank.score_near(
        features(1, DIM), limits=limits(bank, -100.0), always=torch.tensor([7, 2])
    )
    assert scores.ids == ("p2", "p7")


def test_a_small_bank_and_one_without_a_list_are_scored_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bank, people = kept(5, 0.0)
    x = features(1, DIM)
    assert bank.score_near(x, limits=limits(bank, -100.0)).ids == ()
    monkeypatch.setattr(bank_module, "SMALL", 6)
    assert bank.score_near(x, limits=limits(bank, -100.0)).ids == bank.ids
    monkeypatch.setattr(bank_module, "SMALL", 0)
    bare = Bank.empty(DIM, HIDDEN, backbone=BACKBONE)
    for id_, enrollment in people.items():
        bare.add(id_, enrollment)
    assert bare.score_near(x, limits=limits(bare, -100.0)).ids == bank.ids


def test_an_opened_bank_makes_the_same_list(tmp_path: Path) -> None:
    bank, _ = kept(12, 0.5)
    bank.save(tmp_path / "bank")
    again = Bank.open(tmp_path / "bank", reach=0.5)
    assert torch.equal(listed(again).blocks[0].means, listed(bank).blocks[0].means)
    assert torch.equal(listed(again).blocks[0].spread, listed(bank).blocks[0].spread)
    assert Bank.open(tmp_path / "bank").shortlist is None


OVERFLOWING = {
    "an endless spread": (3e38 * torch.eye(HIDDEN), 1.0),
    "no multiple of an endless spread": (3e38 * torch.eye(HIDDEN), 0.0),
    "a spread that is no number": (3e38 * torch.ones(HIDDEN, HIDDEN), 1.0),
}


@pytest.mark.parametrize(("covariance", "reach"), OVERFLOWING.values(), ids=OVERFLOWING)
@pytest.mark.parametrize("batch", [1, 3])
def test_numbers_that_overflow_hide_nobody(
    covariance: torch.Tensor, reach: float, batch: int
) -> None:
    bank, _ = kept(3, reach)
    wild = replace(
        made(DIM, HIDDEN, 9),
        decoder=torch.tensor([8.0, -8.0, 0.0]).repeat(DIM, 1),
        decoder_bias=torch.zeros(DIM),
        code_mean=torch.zeros(HIDDEN),
    )
    # No enrollment has it, but the numbers of a mapped file are read by nobody before they score.
    object.__setattr__(wild, "code_covariance", covariance)
    bank.add("wild", wild)
    assert "wild" in bank.score_near(features(batch, DIM), limits=limits(bank, 0.0)).ids


def test_limits_are_one_an_enrollment() -> None:
    bank, _ = kept(4, 0.0)
    edges = torch.tensor([-torch.inf, 1e6, -torch.inf, 1e6])
    assert listed(bank).near(features(1, DIM), edges).tolist() == [1, 3]
    with pytest.raises(ConfigError, match="4 rows, got 3"):
        listed(bank).near(features(1, DIM), edges[:3])
    with pytest.raises(ConfigError, match="reach"):
        Shortlist(DIM, reach=-1.0)


@pytest.fixture(scope="module")
def digits() -> tuple[Bank, torch.Tensor]:
    """100 enrollments of six real handwritten digits each, and uploads that nobody enrolled."""
    images = load("digits")
    x, y = images.floats().flatten(1), images.label("digit")
    rows = [part for k in range(10) for part in x[y == k][:60].split(6)]
    config = OneClassConfig.preset("plain", hidden=8, epochs=40, least_steps=60, batch_size=6)
    users = enroll_all(rows, config, folds=2, seed=0)
    bank = Bank.empty(64, 8, backbone=BACKBONE, reach=1.5)
    for i in range(len(users)):
        bank.add(
            str(i),
            Enrollment(
                **{n: p[i].detach() for n, p in users.net.named_parameters()},
                code_mean=users.code_mean[i],
                code_covariance=users.code_covariance[i],
                mu=float(users.mu[i]),
                sigma=float(users.sigma[i]),
                calibration="cross-fitted",
                count=6,
                backbone=BACKBONE,
            ),
        )
    return bank, torch.cat([x[y == k][120:150] for k in range(10)])


@pytest.mark.slow
def test_real_claims_are_found(digits: tuple[Bank, torch.Tensor]) -> None:
    bank, x = digits
    exact = bank.score(x)
    claimed = Sigmas(exact.mu, exact.sigma)(exact.errors) <= ALPHA
    assert 100 < int(claimed.any(1).sum()) < len(x)
    asked, found = 0, torch.zeros_like(claimed)
    for i, row in enumerate(x.split(1)):
        scores = bank.score_near(row, limits=limits(bank, ALPHA))
        asked += len(scores.rows)
        found[i, scores.rows] = Sigmas(scores.mu, scores.sigma)(scores.errors)[0] <= ALPHA
    assert float(found[claimed].float().mean()) >= 0.99
    assert torch.equal(found.any(1), claimed.any(1))
    assert asked < 0.3 * len(x) * len(bank)


def test_liars_cannot_fill_the_list(digits: tuple[Bank, torch.Tensor]) -> None:
    bank, x = digits
    alone = bank.score_near(x[:1], limits=limits(bank, ALPHA)).ids
    near = bank.samples(alone[0], 1, seed=0)[0]
    liar = Enrollment(
        encoder=torch.zeros(8, 64),
        encoder_bias=torch.zeros(8),
        decoder=torch.zeros(64, 8),
        decoder_bias=near.clamp(0.01, 0.99).logit(),
        code_mean=torch.zeros(8),
        code_covariance=torch.eye(8),
        mu=64.0,
        sigma=1e-6,
        calibration="held-out",
        count=6,
        backbone=BACKBONE,
    )
    names = [f"liar{i}" for i in range(len(bank) // 2)]
    for name in names:
        bank.add(name, liar)
    try:
        assert set(alone) <= set(bank.score_near(x[:1], limits=limits(bank, ALPHA)).ids)
    finally:
        for name in names:
            bank.remove(name)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_limit_of_nothing_lists_what_is_no_distance_away_and_one_below_lists_nobody(
    batch: int,
) -> None:
    means = features(4, 8)
    own = Shortlist(8, reach=0.0)
    own.append_rows(means, torch.zeros(4))
    x = means[:1].expand(batch, -1).contiguous()
    assert 0 in own.near(x, torch.zeros(4)).tolist()
    assert own.near(x, torch.full((4,), -1e-9)).tolist() == []
