"""A client refuses what is no answer of the filter service."""

from __future__ import annotations

import httpx
import pytest

from sfumato.errors import ServiceError
from sfumato.serve.clients.filter import FilterClient
from sfumato.serve.wire import UploadAnswer


def answering(content: bytes) -> FilterClient:
    client = FilterClient("http://service", "token")
    client.http = httpx.Client(
        base_url="http://service",
        transport=httpx.MockTransport(lambda request: httpx.Response(200, content=content)),
    )
    return client


@pytest.mark.parametrize(
    "content",
    [b"<html>", b"[]", b"{}", b'{"id": "1", "decision": "maybe", "reason": ""}'],
    ids=["no JSON", "a list", "nothing", "no decision"],
)
def test_what_is_no_decision_is_refused(content: bytes) -> None:
    with pytest.raises(ServiceError, match="expected an answer of the filter service"):
        answering(content).upload(b"")


def test_a_decision_is_the_type_that_the_service_sends() -> None:
    sent = UploadAnswer(id="1", decision="block", reason="why")
    assert answering(sent.model_dump_json().encode()).upload(b"") == sent


def test_a_policy_is_an_object_and_enrollments_are_a_list() -> None:
    assert answering(b'{"hidden": 8}').policy() == {"hidden": 8}
    assert answering(b"[]").enrollments() == []
    for ask in (answering(b"[]").policy, answering(b"{}").enrollments):
        with pytest.raises(ServiceError):
            ask()
