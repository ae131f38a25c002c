"""The bodies of requests and answers, as the OpenAPI document shows them; more in `serve.wire`."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sfumato.serve.records.auth import Role, Scope
from sfumato.serve.records.decisions import MOST_NOTE, Ruling
from sfumato.serve.records.rules import (
    LEAST_FALSE_BLOCKS,
    MOST_ALPHA,
    MOST_FALSE_BLOCKS,
    MOST_HOURS,
)
from sfumato.serve.wire import Unit


class Body(BaseModel):
    """What a request asks for.

    A field that is unknown, or of another type, is refused: who wrote `enforce` or "0" would else
    be told that it was done.
    """

    model_config = ConfigDict(extra="forbid", strict=True)


class PolicyAnswer(BaseModel):
    """What a device must know before it enrolls."""

    backbone: str = Field(description="Fingerprint of the backbone at /v1/backbone.")
    dim: int = Field(description="D, the length of a feature.")
    hidden: int = Field(description="M, the width of an enrollment's code.")
    quota: int = Field(description="Enrollments that one account may hold.")
    enrollment_limit_bytes: int
    image_limit_bytes: int
    copies: bool = Field(description="Whether near copies of hashed pictures are claimed.")


class QuarantineAnswer(BaseModel):
    """A quarantined enrollment as a moderator sees it."""

    id: str
    account: str
    reason: str = Field(description="Why a moderator has to decide; its account is not told.")
    created: str


class VerdictBody(Body):
    """A moderator's verdict on a quarantined enrollment."""

    verdict: Literal["admit", "reject"]


class AppealBody(Body):
    """Why an uploader thinks that a picture was blocked wrongly."""

    # PostgreSQL's text holds every character but NUL.
    note: str = Field(
        "", max_length=MOST_NOTE, pattern="^[^\\x00]*$", description="For the moderator."
    )


class RulingBody(Body):
    """A moderator's ruling on an appeal."""

    ruling: Ruling


class AccountAnswer(BaseModel):
    """Whom a token acts for, and what it is good for."""

    name: str
    role: Role
    scopes: list[Scope]


class SessionAnswer(BaseModel):
    """Whom the browser of a page is signed in as."""

    account: AccountAnswer | None = Field(description="Null where it is not signed in.")


class PointAnswer(BaseModel):
    """What one threshold does with the uploads and rulings so far."""

    threshold: float
    blocked: int
    acceptance: float | None = Field(description="Share of uploads that match no class.")
    accuracy: float | None = Field(description="Share of rulings with the same result.")


class CurveAnswer(BaseModel):
    """Acceptance and accuracy for every threshold; near copies are blocked at all of them."""

    unit: Unit = Field(description="Of thresholds: see the bank's rules.")
    threshold: float = Field(description="The threshold that holds now.")
    own: bool = Field(description="Whether the account has its own, rather than the bank's.")
    uploads: int
    rulings: int
    points: list[PointAnswer]


class ForecastAnswer(BaseModel):
    """What a new threshold would have changed so far."""

    threshold: float = Field(
        description="As it was asked for, rounded down to a point of the curve."
    )
    uploads: int
    blocked_before: int
    blocked_after: int
    confirmed_freed: int = Field(description="Confirmed blocks that would have been shared.")
    overturned_freed: int = Field(description="Overturned blocks that would have been shared.")


class CountsAnswer(BaseModel):
    """How many uploads one enrollment matched, and the results of appeals."""

    enrollment: str = Field(description="Empty for all those that were erased since.")
    enforced: int
    observed: int
    open: int
    confirmed: int
    overturned: int


class RulesAnswer(BaseModel):
    """The bank's rules."""

    unit: Unit = Field(
        description="The threshold that holds: `alpha` sigmas above the mean error, or, where the "
        "backbone has a policy, `false_blocks`, a share of strangers' uploads."
    )
    alpha: float
    false_blocks: float | None = Field(description="Null without a policy.")
    enforced: float
    disabled_until: datetime | None


class AccountRulesBody(Body):
    """Changes of one account's rules; a missing field changes nothing."""

    alpha: float | None = Field(None, ge=0, le=MOST_ALPHA)
    false_blocks: float | None = Field(None, ge=LEAST_FALSE_BLOCKS, le=MOST_FALSE_BLOCKS)
    disable_hours: float | None = Field(None, ge=0, le=MOST_HOURS, description="0 ends it.")


class RulesBody(AccountRulesBody):
    """Changes of the bank's rules; a missing field changes nothing."""

    enforced: float | None = Field(None, ge=0, le=1, description="Share of uploaders blocked.")


class DisableBody(Body):
    """For how long an enrollment is disabled."""

    hours: float = Field(ge=0, le=MOST_HOURS, description="0 ends it.")


class EventAnswer(BaseModel):
    """One entry of the audit log."""

    sequence: int
    created: str
    actor: str
    action: str
    subject: str
    detail: str
    digest: str
