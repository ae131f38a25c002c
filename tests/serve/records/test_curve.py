"""A threshold's forecast is what the rule would have decided, upload by upload."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.features.policy import Policy
from sfumato.filter.enrollment import open_enrollment
from sfumato.serve.records.curve import Threshold, forecast, points, tenths
from sfumato.serve.records.decisions import Ruled
from sfumato.serve.records.near_counts import place
from sfumato.serve.records.rules import Rules
from tests.serve.conftest import MOSTLY_POSTGRESQL, Start, bearer
from tests.serve.world import World

ADA = {"Sfumato-Account": "ada"}
Uploads = list[tuple[int, float]]
UPLOADS = st.lists(st.tuples(st.integers(1, 3), st.floats(-5, 25)), max_size=40)
ALPHAS = st.integers(0, 200).map(lambda tenth: tenth / 10)
RULES = st.builds(
    Rules, alpha=ALPHAS, account_alpha=st.dictionaries(st.integers(1, 3), ALPHAS, max_size=2)
)
WHOSE = st.none() | st.integers(1, 3)
THRESHOLDS = st.builds(Threshold, RULES, st.none(), WHOSE)
SHARES = st.integers(-60, -4).map(lambda tenth: 10 ** (tenth / 10))
POLICY = Policy(cohort=torch.rand(200, 3), dimension=8.0, false_blocks=0.01, contested=0.9)
CALIBRATED = st.builds(
    Threshold,
    st.builds(
        Rules,
        false_blocks=st.none() | SHARES,
        account_false_blocks=st.dictionaries(st.integers(1, 3), SHARES, max_size=2),
    ),
    st.just(POLICY),
    WHOSE,
)


def counted(uploads: Uploads) -> Counter[tuple[int, int]]:
    return Counter(place(account, score) for account, score in uploads)


def blocked(uploads: Uploads, threshold: Threshold, alpha: float | None) -> int:
    """The slow way: one upload at a time, as the rule compares."""
    edges = {
        who: threshold.rules.account_alpha.get(who, threshold.rules.alpha) for who in (1, 2, 3)
    }
    if alpha is not None:
        edges |= {who: alpha for who in edges if threshold.moves(who)}
    return sum(score * 10 <= round(edges[who] * 10) for who, score in uploads)


@given(UPLOADS, THRESHOLDS, ALPHAS)
def test_a_forecast_counts_as_the_rule_decides(
    uploads: Uploads, threshold: Threshold, alpha: float
) -> None:
    found = forecast(counted(uploads), [], threshold, alpha)
    assert (found.threshold, found.uploads) == (alpha, len(uploads))
    assert found.blocked_before == blocked(uploads, threshold, None)
    assert found.blocked_after == blocked(uploads, threshold, alpha)


@given(UPLOADS, THRESHOLDS)
def test_the_curve_is_the_forecast_of_every_threshold(
    uploads: Uploads, threshold: Threshold
) -> None:
    tally = counted(uploads)
    curve = points(tally, [], threshold)
    assert [point.threshold for point in curve] == [tenth / 10 for tenth in range(201)]
    for point in curve[::20]:
        assert point.blocked == forecast(tally, [], threshold, point.threshold).blocked_after
        if uploads:
            assert point.acceptance == pytest.approx(1 - point.blocked / len(uploads))
        else:
            assert point.acceptance is None


@given(UPLOADS, CALIBRATED, SHARES)
def test_a_calibrated_bank_counts_in_powers_of_ten(
    uploads: Uploads, threshold: Threshold, share: float
) -> None:
    rare = [(account, score - 6) for account, score in uploads]
    tally = counted(rare)
    edges = {who: threshold.rules.threshold(who, POLICY) for who in (1, 2, 3)}
    chosen = edges | {who: math.log10(share) for who in edges if threshold.moves(who)}
    found = forecast(tally, [], threshold, share)
    for limits, number in ((edges, found.blocked_before), (chosen, found.blocked_after)):
        assert number == sum(s * 10 <= round(limits[who] * 10) for who, s in rare)
    curve = points(tally, [], threshold)
    assert curve[0].threshold == pytest.approx(1e-6)
    assert curve[-1].threshold == pytest.approx(0.5, abs=0.11)
    for point in curve[::9]:
        seen = forecast(tally, [], threshold, point.threshold)
        assert point.blocked == seen.blocked_after
    assert threshold.can_be(share)
    assert not threshold.can_be(0.0)


def test_accuracy_is_agreement_with_the_rulings_that_move() -> None:
    ruled = [Ruled(1, 0.5, True), Ruled(1, 1.5, False), Ruled(2, 0.2, False)]
    threshold = Threshold(Rules(account_alpha={2: 1.0}))
    curve = points({}, ruled, threshold)
    assert [curve[tenth].accuracy for tenth in (0, 4, 5, 14, 15, 40)] == [0.5, 0.5, 1, 1, 0.5, 0.5]
    freed = forecast({}, ruled, threshold, 0.3)
    assert (freed.confirmed_freed, freed.overturned_freed) == (1, 1)
    assert points({}, ruled, Threshold(threshold.rules, None, 3))[0].accuracy is None


@pytest.mark.parametrize(("alpha", "tenth"), [(2.3, 23), (2.29, 22), (0.0, 0), (20.0, 200)])
def test_a_threshold_is_counted_to_a_tenth(alpha: float, tenth: int) -> None:
    assert tenths(alpha) == tenth


@MOSTLY_POSTGRESQL
def test_moderators_foresee_what_then_happens(start: Start, world: World) -> None:
    """The forecast for a new threshold equals the blocks when everything is uploaded again."""
    client, service = start(uploads_per_minute=1_000_000)
    ada, eve = bearer(service, "ada"), bearer(service, "eve")
    judge = bearer(service, "judge", role="moderator")
    client.post("/v1/enrollments", content=world.enrollments[0], headers=ada)
    images = [world.png(digit, index) for digit in (0, 4) for index in range(100, 125)]

    def upload() -> int:
        sent = [client.post("/v1/uploads", content=i, headers=eve).json() for i in images]
        return [answer["decision"] for answer in sent].count("block")

    before = upload()
    assert 0 < before < len(images)
    for headers in (judge, judge | ADA):
        curve = client.get("/v1/curve", headers=headers).json()
        assert (curve["threshold"], curve["own"], curve["uploads"]) == (2.0, False, len(images))
        assert curve["points"][20]["blocked"] == before
    changed = set()
    for alpha in (0.0, 0.7, 20.0):
        seen = client.get("/v1/forecast", params={"value": alpha}, headers=judge | ADA).json()
        passed = seen["uploads"] // len(images)
        client.patch("/v1/account-rules", json={"alpha": alpha}, headers=judge | ADA)
        assert upload() * passed == seen["blocked_after"]
        changed.add(seen["blocked_after"] // passed)
    assert len(changed) == 3
    assert client.get("/v1/curve", headers=judge | ADA).json()["own"]


def test_only_moderators_see_what_stood_against_an_upload(start: Start, world: World) -> None:
    client, service = start()
    ada, eve = bearer(service, "ada"), bearer(service, "eve")
    judge = bearer(service, "judge", role="moderator")
    client.post("/v1/enrollments", content=world.enrollments[0], headers=ada)
    made = client.post("/v1/uploads", content=world.png(0, 0), headers=eve).json()
    assert made["decision"] == "block"
    path = f"/v1/decisions/{made['id']}"
    for own, status in ((eve, 403), (ada, 403), (judge, 200)):
        assert client.get(path, headers=own).status_code == status
    found = client.get(path, headers=judge).json()
    assert (found["account"], found["enrollment_account"], found["claim"]) == (
        "eve",
        "ada",
        "class",
    )
    assert found["enrollment"] == open_enrollment(world.enrollments[0]).id
    assert found["score"] + found["margin"] == pytest.approx(2.0, abs=1e-5)
    for missing in ("0" * 32, "%00", "x"):
        assert client.get(f"/v1/decisions/{missing}", headers=judge).status_code == 404
    for name in ("curve", "forecast?value=1"):
        assert client.get(f"/v1/{name}", headers=eve).status_code == 403
    asked = client.get("/v1/curve", headers=judge | {"Sfumato-Account": "nobody"})
    assert asked.status_code == 404


def test_a_token_says_whom_it_acts_for(start: Start, world: World) -> None:
    client, service = start()
    found = client.get("/v1/account", headers=bearer(service, "ada")).json()
    assert found == {"name": "ada", "role": "user", "scopes": ["enroll", "upload"]}
    assert client.get("/v1/account").status_code == 401
