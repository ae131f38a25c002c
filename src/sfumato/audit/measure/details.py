"""What attacks report beside their figures, as JSON values and back, by the kind of attack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from sfumato.attack.attributes import AttributeDetails
from sfumato.attack.copies import CopiesDetails
from sfumato.attack.groups import GroupDetails
from sfumato.attack.linkage import LinkageDetails
from sfumato.attack.membership import MembershipDetails
from sfumato.attack.on_cipher.bitstatistics import BitDetails
from sfumato.attack.on_filter.enrollment_leak import LeakDetails
from sfumato.attack.on_filter.membership import EnrolledDetails
from sfumato.attack.on_filter.poison import PoisonDetails
from sfumato.attack.reconstruct import ReconstructionDetails
from sfumato.attack.reidentify import IdentityDetails
from sfumato.attack.verify import VerificationDetails
from sfumato.audit.measure.jsonvalues import read_as, written
from sfumato.audit.measure.quality import QualityDetails
from sfumato.types import Details

KINDS: Mapping[str, type[Details]] = {
    kind.kind: kind
    for kind in (
        AttributeDetails,
        BitDetails,
        CopiesDetails,
        GroupDetails,
        IdentityDetails,
        LeakDetails,
        EnrolledDetails,
        LinkageDetails,
        MembershipDetails,
        PoisonDetails,
        QualityDetails,
        ReconstructionDetails,
        VerificationDetails,
    )
}


def details_document(details: Details) -> dict[str, Any]:
    """Return details as JSON values, with their kind."""
    return {"kind": details.kind, **written(details)}


def read_details(document: Mapping[str, Any]) -> Details:
    """Return the details that `details_document` wrote.

    Of a kind that is not Sfumato's own only what every attack may report is read.

    Raises:
        KeyError, TypeError, ValueError: it is something else.
    """
    kind = KINDS.get(read_as(str, document["kind"]))
    own = {name: value for name, value in document.items() if name != "kind"}
    if kind is None:
        own = {field.name: document[field.name] for field in fields(Details)}
    found = read_as(kind or Details, own, null_is_nan=True)
    assert isinstance(found, Details)  # noqa: S101 - every kind is one
    if found.originals < 0:
        raise ValueError(f"expected a count of originals, got {found.originals}")
    return found
