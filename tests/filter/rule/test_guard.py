"""The guard's rules: claims, overriding, contested pairs, and reasons that name nobody."""

from __future__ import annotations

from itertools import pairwise

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sfumato.filter.rule.guard import NOBODY, Sigmas, contest_rule, first_claims, paper_rule

NO_PAIRS = torch.zeros(0, 2, dtype=torch.int64)


def world(seed: int, uploads: int = 40, users: int = 6) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    mu = torch.rand(users, generator=generator) * 5 + 1
    sigma = torch.rand(users, generator=generator) + 0.1
    scores = mu + sigma * torch.randn(uploads, users, generator=generator) * 3
    owned = torch.rand(uploads, users, generator=generator) < 0.3
    return scores, mu, sigma, owned


def slow_contest(
    scores: Tensor, mu: Tensor, sigma: Tensor, owned: Tensor, contested: Tensor, alpha: float
) -> list[bool]:
    """The default rule as it is told in words, one upload and one claim at a time."""
    barred = {tuple(pair) for pair in contested.tolist()}
    blocked = []
    for e, own in zip(scores.tolist(), owned.tolist(), strict=True):
        stands = False
        for v, error in enumerate(e):
            if own[v] or error > float(mu[v]) + alpha * float(sigma[v]):
                continue
            stands |= not any(
                own[k] and (k, v) not in barred and e[k] < error for k in range(len(e))
            )
        blocked.append(stands)
    return blocked


@given(seed=st.integers(0, 10_000), alpha=st.floats(0.5, 3.0))
@settings(max_examples=40, deadline=None)
def test_the_default_rule_is_the_one_told_in_words(seed: int, alpha: float) -> None:
    scores, mu, sigma, owned = world(seed)
    generator = torch.Generator().manual_seed(seed + 1)
    contested = torch.randint(0, 6, (8, 2), generator=generator)
    outcome = contest_rule(
        scores, Sigmas(mu, sigma)(scores), owned, contested=contested, alpha=alpha
    )
    expected = slow_contest(scores, mu, sigma, owned, contested, alpha)
    assert outcome.blocked.tolist() == expected


@given(seed=st.integers(0, 10_000), alpha=st.sampled_from([0.0, 1.0, 2.0]))
@settings(max_examples=40, deadline=None)
def test_ties_and_edges_are_decided_as_told_in_words(seed: int, alpha: float) -> None:
    """Small whole numbers: many scores are equal, and many lie on a claim's very edge."""
    generator = torch.Generator().manual_seed(seed)

    def whole(most: int, *shape: int) -> Tensor:
        return torch.randint(0, most, shape, generator=generator).float()

    scores, mu, sigma = whole(6, 40, 6), whole(4, 6), whole(2, 6) + 1
    owned = whole(3, 40, 6) < 1
    contested = whole(6, 8, 2).long()
    outcome = contest_rule(
        scores, Sigmas(mu, sigma)(scores), owned, contested=contested, alpha=alpha
    )
    assert outcome.blocked.tolist() == slow_contest(scores, mu, sigma, owned, contested, alpha)


def slow_first(
    common: Tensor, owned: Tensor, arrival: Tensor, contested: Tensor, alpha: float
) -> list[bool]:
    """The rule of first claims as it is told in words, one upload and one claim at a time."""
    barred = {tuple(pair) for pair in contested.tolist()}
    blocked = []
    for e, own in zip(common.tolist(), owned.tolist(), strict=True):
        claims = [k for k, score in enumerate(e) if score <= alpha]
        stands = [
            not any(own[k] and arrival[k] < arrival[v] and (k, v) not in barred for k in claims)
            for v in claims
            if not own[v]
        ]
        blocked.append(any(stands))
    return blocked


@given(seed=st.integers(0, 10_000), alpha=st.sampled_from([-3.0, -2.0, -1.0]))
@settings(max_examples=60, deadline=None)
def test_the_first_of_two_claims_stands(seed: int, alpha: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    common = -torch.randint(0, 5, (40, 6), generator=generator).float()
    owned = torch.rand(40, 6, generator=generator) < 0.3
    contested = torch.randint(0, 6, (5, 2), generator=generator)
    # Beyond 2^24 float32 takes neighbors for one number.
    arrival = 2**40 + torch.randperm(6, generator=generator).double()
    ranks = first_claims(arrival, common, owned, alpha=alpha)
    outcome = contest_rule(ranks, common, owned, contested=contested, alpha=alpha)
    assert outcome.blocked.tolist() == slow_first(common, owned, arrival, contested, alpha)


def test_a_victims_numbers_signed_anew_override_nothing() -> None:
    """Whoever enrolls a copy of a claim has equal scores, which are not smaller."""
    scores, mu, sigma = torch.tensor([[2.0, 2.0]]), torch.full((2,), 3.0), torch.ones(2)
    attacker = torch.tensor([[True, False]])
    for score in (scores, scores + 1, 0 * scores):
        assert contest_rule(score, Sigmas(mu, sigma)(score), attacker, contested=NO_PAIRS).blocked


def test_an_advantage_asks_for_a_smaller_score_still() -> None:
    mu, sigma, owned = torch.full((2,), 5.0), torch.ones(2), torch.tensor([[True, False]])
    for own, advantage, blocked in ((2.0, 1.0, False), (2.0, 0.5, True), (1.9, 0.5, False),
                                    (0.0, 0.0, True)):  # fmt: skip
        outcome = contest_rule(
            torch.tensor([[own, 4.0]]),
            Sigmas(mu, sigma)(torch.tensor([[own, 4.0]])),
            owned,
            contested=NO_PAIRS,
            advantage=advantage,
        )
        assert outcome.blocked.tolist() == [blocked]


@given(seed=st.integers(0, 10_000), alpha=st.floats(1.0, 2.0))
@settings(max_examples=20, deadline=None)
def test_the_papers_rule_is_the_one_in_the_paper(seed: int, alpha: float) -> None:
    scores, mu, sigma, owned = world(seed)
    outcome = paper_rule(scores, Sigmas(mu, sigma)(scores), owned, alpha=alpha)
    for i in range(len(scores)):
        winner = int(scores[i].argmin())
        low = float(mu[winner]) - alpha * float(sigma[winner])
        high = float(mu[winner]) + alpha * float(sigma[winner])
        inside = low <= float(scores[i, winner]) <= high
        assert int(outcome.enrollment[i]) == winner
        assert bool(outcome.blocked[i]) == (inside and not bool(owned[i, winner]))


def test_only_the_papers_rule_lets_an_unusually_good_reconstruction_through() -> None:
    scores, mu, sigma = torch.tensor([[0.0, 9.0]]), torch.tensor([5.0, 5.0]), torch.ones(2)
    stranger = torch.zeros(1, 2, dtype=torch.bool)
    assert not paper_rule(scores, Sigmas(mu, sigma)(scores), stranger).blocked
    assert contest_rule(scores, Sigmas(mu, sigma)(scores), stranger, contested=NO_PAIRS).blocked


def test_a_contested_owner_cannot_override_but_an_other_own_enrollment_can() -> None:
    scores, mu, sigma = torch.tensor([[1.0, 3.0, 2.0]]), torch.full((3,), 3.0), torch.ones(3)
    first = torch.tensor([[True, False, False]])
    both = torch.tensor([[True, False, True]])
    contested = torch.tensor([[0, 1]])
    free = contest_rule(scores, Sigmas(mu, sigma)(scores), first, contested=NO_PAIRS)
    # The second foreign claim, of enrollment 2, is overridden in every case.
    barred = contest_rule(scores, Sigmas(mu, sigma)(scores), first, contested=contested)
    helped = contest_rule(scores, Sigmas(mu, sigma)(scores), both, contested=contested)
    assert [bool(v.blocked) for v in (free, barred, helped)] == [False, True, False]
    assert barred.enrollment.tolist() == [1]


def test_reporting_a_large_own_mu_wins_nothing() -> None:
    scores, owned = torch.tensor([[4.0, 3.0]]), torch.tensor([[True, False]])
    for own_mu in (0.1, 4.0, 1e9):
        mu, sigma = torch.tensor([own_mu, 3.0]), torch.tensor([own_mu, 1.0])
        assert contest_rule(scores, Sigmas(mu, sigma)(scores), owned, contested=NO_PAIRS).blocked


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_blocking_grows_with_alpha_and_with_contested_pairs(seed: int) -> None:
    scores, mu, sigma, owned = world(seed)
    pairs = torch.cartesian_prod(torch.arange(6), torch.arange(6))
    runs = [
        contest_rule(
            scores, Sigmas(mu, sigma)(scores), owned, contested=pairs[:count], alpha=alpha
        ).blocked
        for count, alpha in ((0, 1.0), (0, 2.0), (9, 2.0), (36, 2.0), (36, 3.0))
    ]
    for less, more in pairwise(runs):
        assert not bool((less & ~more).any())


def test_alpha_may_differ_by_enrollment() -> None:
    scores, mu, sigma, _ = world(3)
    alpha = torch.tensor([0.0, 1.0, 2.0, 3.0, -1.0, 9.0])
    nobodys = torch.zeros_like(scores, dtype=torch.bool)
    unit = Sigmas(mu, sigma)
    for i, edge in enumerate(alpha.tolist()):
        alone = torch.full((6,), -torch.inf)
        alone[i] = edge
        outcome = contest_rule(scores, unit(scores), nobodys, contested=NO_PAIRS, alpha=alone)
        assert torch.equal(outcome.blocked, unit(scores)[:, i] <= edge)
    whole = contest_rule(scores, unit(scores), nobodys, contested=NO_PAIRS, alpha=alpha)
    assert torch.equal(whole.blocked, (unit(scores) <= alpha).any(1))


def test_the_limits_of_sigmas_are_their_inverse() -> None:
    _, mu, sigma, _ = world(4)
    unit = Sigmas(mu, sigma)
    assert torch.allclose(unit(unit.limits(1.5)[None]), torch.tensor(1.5))
    rows = torch.tensor([4, 1])
    assert torch.equal(unit.at(rows).limits(2.0), unit.limits(2.0)[rows])


def test_what_is_blocked_is_what_has_a_margin() -> None:
    scores, mu, sigma, owned = world(5, uploads=400)
    for outcome in (
        contest_rule(scores, Sigmas(mu, sigma)(scores), owned, contested=NO_PAIRS),
        paper_rule(scores, Sigmas(mu, sigma)(scores), owned),
    ):
        assert set(outcome.blocked.tolist()) == {True, False}
        assert torch.equal(outcome.blocked, outcome.margin >= 0)


def test_an_empty_bank_shares_everything() -> None:
    empty = torch.zeros(3, 0)
    owned = torch.zeros(3, 0, dtype=torch.bool)
    for outcome in (
        paper_rule(empty, empty, owned),
        contest_rule(empty, empty, owned, contested=NO_PAIRS),
    ):
        assert outcome.blocked.tolist() == [False] * 3
        assert outcome.enrollment.tolist() == [NOBODY] * 3
