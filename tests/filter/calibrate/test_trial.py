"""What a bank of any size blocks, against counting it by hand."""

from __future__ import annotations

import math

import pytest
import torch

from sfumato.data.order import random_order
from sfumato.filter.calibrate.trial import TARGETS, Strangers, Uploads, run_trial
from sfumato.filter.enrolled import enroll_all, scores
from sfumato.filter.oneclass import OneClassConfig
from sfumato.filter.rule.calibration import Rarity, anchors, tail_dimension
from sfumato.intervals import wilson_interval
from tests.filter.calibrate.clouds import clouds

TRAINING = OneClassConfig.preset("plain", hidden=4, least_steps=60)
PUBLIC = clouds(360, 9)
X = PUBLIC.features.view(360, 9, -1)
USERS = enroll_all(list(X[:25, :5]), TRAINING, seed=0)
STRANGERS = Strangers(
    cohort=X[25:125].flatten(0, 1),
    fitting=X[125:225].flatten(0, 1),
    testing=torch.cat([X[225:300].flatten(0, 1), X[300:, 0]]),
    testers=torch.cat([torch.arange(75).repeat_interleave(9), torch.arange(75, 135)]),
)
OWN = Uploads(features=X[:25, 5:].flatten(0, 1), enrollment=torch.arange(25).repeat_interleave(4))


def test_the_whole_bank_blocks_what_the_rule_says() -> None:
    found = run_trial(USERS, STRANGERS, OWN, (0.01, 0.05), seed=3)
    anchor = anchors(scores(USERS.net, STRANGERS.cohort))
    dimension = tail_dimension(anchor, scores(USERS.net, STRANGERS.fitting))
    assert found.dimension == dimension
    whole = next(size for size in found.sizes if size.enrollments == 25)
    assert not whole.extrapolated
    judged = Rarity(anchor, dimension, 25)(scores(USERS.net, STRANGERS.testing)).amin(1)
    own = Rarity(anchor, dimension, 25)(scores(USERS.net, OWN.features))
    for rates in whole.calibrated:
        blocked = (judged <= math.log10(rates.threshold)).float()
        people = [blocked[STRANGERS.testers == p].mean() for p in range(135)]
        expected = float(torch.stack(people).mean())
        assert rates.strangers == pytest.approx(expected)
        assert rates.interval == pytest.approx(wilson_interval(expected, 135))
        mine = own[torch.arange(100), OWN.enrollment] <= math.log10(rates.threshold)
        assert rates.enrolled == pytest.approx(float(mine.float().mean()))


def test_the_papers_interval_is_beside_it() -> None:
    found = run_trial(USERS, STRANGERS, OWN, (0.01,), seed=3)
    whole = next(size for size in found.sizes if size.enrollments == 25)
    errors = scores(USERS.net, OWN.features)[torch.arange(100), OWN.enrollment]
    for rates, alpha in zip(whole.paper, (1, 2, 3), strict=True):
        assert rates.threshold == alpha
        limit = (USERS.mu + alpha * USERS.sigma)[OWN.enrollment]
        assert rates.enrolled == pytest.approx(float((errors <= limit).float().mean()))


def test_the_promise_is_kept_at_every_size_and_beyond_it_nothing_is_counted() -> None:
    found = run_trial(USERS, STRANGERS, OWN, (0.01,), seed=3)
    sizes = [(size.enrollments, size.extrapolated) for size in found.sizes]
    assert sizes == [(1, False), (10, False), (25, False), (1000, True), (10_000, True),
                     (1_000_000, True)]  # fmt: skip
    blocked = []
    for size in found.sizes:
        (rates,) = size.calibrated
        assert (rates.strangers is None) == size.extrapolated
        if rates.interval is not None:
            assert rates.interval[0] <= 0.01
        assert rates.enrolled is not None
        blocked.append(rates.enrolled)
    assert blocked == sorted(blocked, reverse=True)
    assert blocked[0] > 0.9


def test_a_bank_that_is_there_has_no_new_pictures() -> None:
    found = run_trial(USERS, STRANGERS, None, (0.01,), seed=3)
    assert {rates.enrolled for size in found.sizes for rates in size.calibrated} == {None}
    assert found.sizes[2].calibrated[0].strangers is not None


def test_a_small_bank_is_tried_with_different_enrollments() -> None:
    found = run_trial(USERS, STRANGERS, OWN, (0.05,), seed=3)
    anchor = anchors(scores(USERS.net, STRANGERS.cohort))
    judged = Rarity(anchor, found.dimension, 1)(scores(USERS.net, STRANGERS.testing))
    alone = (judged <= math.log10(0.05)).float()
    people = torch.stack([alone[STRANGERS.testers == p].mean(0) for p in range(135)]).mean(0)
    drawn = random_order(25, 3)[:10]
    assert found.sizes[0].calibrated[0].strangers == pytest.approx(float(people[drawn].mean()))
    pairs = random_order(25, 3)[:20].view(2, 10)
    tens = torch.stack([judged[:, bank].amin(1) <= math.log10(0.05 / 10) for bank in pairs])
    blocked = tens.float().mean(0)
    expected = torch.stack([blocked[STRANGERS.testers == p].mean() for p in range(135)]).mean()
    assert found.sizes[1].calibrated[0].strangers == pytest.approx(float(expected))


def test_rates_of_the_table_are_shares_in_order() -> None:
    assert list(TARGETS) == sorted({*TARGETS})
    assert all(0 < share <= 0.5 for share in TARGETS)
