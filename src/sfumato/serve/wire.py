"""What services and clients send each other: one type or name for server, client and records.

`sfumato.serve.http.schemas` has the rest of the API document.
"""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, Field

FEATURES_PATH: Final = "/v1/features"
UPLOADS_PATH: Final = "/v1/uploads"
ACCOUNT_HEADER: Final = "Sfumato-Account"
"""Header of a request that is about another account than the token's: no name is in a URL."""
PAGE_HEADER: Final = "Sfumato-Page"
"""Header of the requests of the service's own pages, beside the cookie that holds their token."""
PUBLIC_KEY_HEADER: Final = "Sfumato-Public-Key"
"""Header of a request for features: the public key to which the answer is sealed, base64url."""
BACKBONE_HEADER: Final = "Sfumato-Backbone"
"""Header of an answer with features: the fingerprint of the backbone."""

Verdict = Literal["share", "block"]
"""The decision about an upload in a word."""
Status = Literal["active", "quarantined"]
"""A quarantined enrollment does not count until a moderator admits it."""
Shown = Literal["pending", "active", "review"]
"""An enrollment's status as its account sees it; `review` is quarantine."""
Claim = Literal["class", "copy"]
"""What an upload matches: the class of pictures that was enrolled, or a copy of one of them."""
Unit = Literal["alpha", "false_blocks"]
"""Of a bank's thresholds: sigmas above a mean error, or a share of strangers' uploads."""
Appeal = Literal["none", "open", "confirmed", "overturned"]


class EnrollmentAnswer(BaseModel):
    """An enrollment as its account sees it."""

    id: str
    status: Shown = Field(
        description="`pending` for the first while; then whether it counts, or waits for review."
    )
    reason: str = Field(description="The status in words.")
    created: str


class ErasureAnswer(BaseModel):
    """An erasure as its account sees it: what it is about is gone from every decision at once."""

    id: str = Field(description="The enrollment's.")
    requested: str
    done: str | None = Field(
        description="When no byte of it was left in the database's files; null while the service "
        "still tries to rid them of it."
    )


class UploadAnswer(BaseModel):
    """Whether an image may be shared. Never says whose image it is."""

    id: str = Field(description="Identifier of this decision; the service's log has it too.")
    decision: Verdict
    reason: str


class DecisionAnswer(BaseModel):
    """An upload that an enrollment matched, as a moderator sees it."""

    id: str
    account: str = Field(
        description="Whose upload it was: an account's, or whom a platform's uploader named."
    )
    enrollment: str | None = Field(description="The matching enrollment; null once it is erased.")
    enrollment_account: str | None = Field(description="The account of that enrollment.")
    enforced: bool = Field(description="Whether it was blocked, rather than only recorded.")
    claim: Claim
    unit: Unit = Field(description="Of margin and score, where the claim is one of a class.")
    margin: float | None = Field(
        description="Distance below the class's threshold, in sigmas or in powers of ten of the "
        "share of strangers; or bits below a copy's threshold. Null where it is not known."
    )
    score: float | None = Field(
        description="Sigmas from the class's mean, or log10 of the share of strangers' pictures "
        "that the bank matches as well; null for a near copy, and where it is not known."
    )
    created: str
    appeal: Appeal
    note: str
