"""The moderators' routes: quarantine, appeals, rules at run time, and the audit log."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query

from sfumato.errors import RequestError
from sfumato.serve.http.arrival import BoundedRoute
from sfumato.serve.http.deps import Id, Moderator, Named, Service, problems
from sfumato.serve.http.schemas import (
    AccountRulesBody,
    CountsAnswer,
    CurveAnswer,
    DisableBody,
    EventAnswer,
    ForecastAnswer,
    PointAnswer,
    QuarantineAnswer,
    RulesAnswer,
    RulesBody,
    RulingBody,
    VerdictBody,
)
from sfumato.serve.records import audit_log as ledger
from sfumato.serve.records import curve, decisions, rules
from sfumato.serve.records.auth import find_account
from sfumato.serve.service import FilterService
from sfumato.serve.wire import ACCOUNT_HEADER, DecisionAnswer

router = APIRouter(route_class=BoundedRoute)


@router.get("/v1/quarantine", responses=problems(401, 403))
def quarantine(_: Moderator, filters: Service) -> list[QuarantineAnswer]:
    """The enrollments that wait for a moderator."""
    entries = filters.store.entries(status="quarantined")
    return [QuarantineAnswer.model_validate(entry, from_attributes=True) for entry in entries]


@router.post(
    "/v1/quarantine/{enrollment_id}",
    status_code=204,
    responses=problems(400, 401, 403, 404, 408, 413, 422, 507),
)
async def moderate(
    enrollment_id: Id, body: VerdictBody, account: Moderator, filters: Service
) -> None:
    """Let a quarantined enrollment count, or erase it."""
    admit = body.verdict == "admit"
    lane = filters.readmissions if admit else filters.changes
    await lane.run(account.id, partial(filters.moderate, account, enrollment_id, admit=admit))


@router.get("/v1/appeals", responses=problems(401, 403))
def appeals(_: Moderator, filters: Service) -> list[DecisionAnswer]:
    """The appeals that wait for a moderator, oldest first, 200 at most."""
    return decisions.appeals(filters.store)


@router.post(
    "/v1/appeals/{decision_id}",
    status_code=204,
    responses=problems(400, 401, 403, 404, 408, 413, 422, 507),
)
async def rule(decision_id: Id, body: RulingBody, account: Moderator, filters: Service) -> None:
    """Confirm a blocked upload, or overturn it."""
    ruled = partial(decisions.rule, filters.changing, decision_id, body.ruling, actor=account.name)
    await filters.changes.run(account.id, ruled)


@router.get("/v1/decisions/{decision_id}", responses=problems(401, 403, 404, 422))
def decision(decision_id: Id, _: Moderator, filters: Service) -> DecisionAnswer:
    """The match of an upload that was blocked, or only recorded."""
    return decisions.find(filters.store, decision_id)


@router.get("/v1/counts", responses=problems(401, 403))
def counts(_: Moderator, filters: Service) -> list[CountsAnswer]:
    """How many uploads each enrollment matched, and the results of appeals."""
    found = decisions.counts(filters.store)
    return [CountsAnswer(enrollment=name, **asdict(own)) for name, own in sorted(found.items())]


@router.get("/v1/rules", responses=problems(401, 403))
def bank_rules(_: Moderator, filters: Service) -> RulesAnswer:
    """The bank's rules."""
    found, policy = rules.read_rules(filters.store), filters.policy
    return RulesAnswer(
        unit=filters.unit,
        alpha=found.alpha,
        false_blocks=None if policy is None else 10 ** found.threshold(None, policy),
        enforced=found.enforced,
        disabled_until=found.disabled_until,
    )


@router.get("/v1/curve", responses=problems(401, 403, 404, 422, 507))
def threshold_curve(_: Moderator, filters: Service, account: Named = None) -> CurveAnswer:
    """Acceptance and accuracy for every threshold of the bank, or of an account."""
    threshold = _threshold(filters, account)
    ruled, tally = decisions.rulings(filters.store, filters.policy_digest), filters.tally.read()
    return CurveAnswer(
        unit=filters.unit,
        threshold=threshold.value,
        own=threshold.own,
        uploads=sum(tally.values()),
        rulings=sum(threshold.moves(r.account) for r in ruled),
        points=[PointAnswer(**asdict(p)) for p in curve.points(tally, ruled, threshold)],
    )


@router.get("/v1/forecast", responses=problems(401, 403, 404, 422, 507))
def forecast(
    _: Moderator,
    filters: Service,
    value: Annotated[
        float,
        Query(ge=0, le=rules.MOST_ALPHA, description="Of the threshold, in the curve's unit."),
    ],
    account: Named = None,
) -> ForecastAnswer:
    """What a threshold, of the bank or of an account, would have changed so far."""
    threshold = _threshold(filters, account)
    if not threshold.can_be(value):
        raise RequestError(422, f"expected a threshold that can be set, got {value}")
    ruled = decisions.rulings(filters.store, filters.policy_digest)
    found = curve.forecast(filters.tally.read(), ruled, threshold, value)
    return ForecastAnswer(**asdict(found))


@router.patch("/v1/rules", responses=problems(400, 401, 403, 408, 413, 422, 507))
async def change_rules(body: RulesBody, account: Moderator, filters: Service) -> RulesAnswer:
    """Change the bank's rules, for every process within a second."""

    def change() -> RulesAnswer:
        rules.change_bank(filters.changing, actor=account.name, **body.model_dump())
        filters.apply_rules()
        return bank_rules(account, filters)

    return await filters.changes.run(account.id, change)


@router.patch(
    "/v1/account-rules", status_code=204, responses=problems(400, 401, 403, 404, 408, 413, 422, 507)
)
async def change_account(
    body: AccountRulesBody,
    account: Moderator,
    filters: Service,
    named: Named = None,
) -> None:
    """Change the threshold of one account's enrollments, or disable them for a time."""
    if named is None:
        raise RequestError(422, f"expected the account's name in the header {ACCOUNT_HEADER}")

    def change() -> None:
        rules.change_account(filters.changing, named, actor=account.name, **body.model_dump())
        filters.apply_rules()

    await filters.changes.run(account.id, change)


@router.post(
    "/v1/enrollments/{enrollment_id}/disable",
    status_code=204,
    responses=problems(400, 401, 403, 404, 408, 413, 422, 507),
)
async def disable(
    enrollment_id: Id, body: DisableBody, account: Moderator, filters: Service
) -> None:
    """Disable one enrollment for a time."""

    def change() -> None:
        rules.disable_enrollment(filters.changing, enrollment_id, body.hours, actor=account.name)
        filters.apply_rules()

    await filters.changes.run(account.id, change)


@router.get("/v1/audit", responses=problems(401, 403, 422))
def audit(
    _: Moderator,
    filters: Service,
    after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[EventAnswer]:
    """The audit log, from one sequence number on."""
    found = ledger.events(filters.store.engine, after=after, limit=limit)
    return [EventAnswer.model_validate(event, from_attributes=True) for event in found]


def _threshold(filters: FilterService, account: str | None) -> curve.Threshold:
    found = None if account is None else find_account(filters.store.engine, account)
    if account is not None and found is None:
        raise RequestError(404, f"there is no {account[:40]!r}")
    known = rules.read_rules(filters.store)
    return curve.Threshold(known, filters.policy, found.id if found else None)
