"""What the service answers, as the OpenAPI document shows it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class PolicyAnswer(BaseModel):
    """What a device must know before it enrols."""

    backbone: str = Field(description="Fingerprint of the backbone at /v1/backbone.")
    dim: int = Field(description="D, the length of a feature.")
    hidden: int = Field(description="M, the width of an enrollment's code.")
    quota: int = Field(description="Enrollments that one account may hold.")
    enrollment_limit_bytes: int
    image_limit_bytes: int


class EnrollmentAnswer(BaseModel):
    """An enrollment as its owner sees it."""

    id: str
    status: Literal["active", "quarantined"] = Field(
        description="A quarantined enrollment does not count until a moderator admits it."
    )
    reason: str
    created: str


class QuarantineAnswer(EnrollmentAnswer):
    """A quarantined enrollment as a moderator sees it."""

    account: str


class UploadAnswer(BaseModel):
    """Whether an image may be shared. Never says whose image it is."""

    id: str = Field(description="Identifier of this decision; the service's log has it too.")
    decision: Literal["share", "block"]
    reason: str


class VerdictBody(BaseModel):
    """A moderator's verdict on a quarantined enrollment."""

    verdict: Literal["admit", "reject"]
