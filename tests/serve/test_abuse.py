"""Whatever is sent to any route, the answer is one that the OpenAPI document names."""

from __future__ import annotations

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode, checks

from sfumato.serve.app import create_app
from sfumato.serve.records.audit_log import verify
from sfumato.serve.records.auth import add_account, add_token
from sfumato.serve.service import FilterService
from tests.serve.conftest import Start

CHECKS = checks.load_all_checks() or [
    checks.not_a_server_error,
    *checks.CHECKS.get_by_names(
        ["status_code_conformance", "content_type_conformance", "response_schema_conformance"]
    ),
]


class Abused:
    """One service that every case is sent to; tokens good for everything, little and nothing."""

    def __init__(self, service: FilterService) -> None:
        self.service = service
        self.app: FastAPI = create_app(service)
        engine = service.store.engine
        add_account(engine, "judge", role="moderator", with_token=False)
        every, upload = add_token(engine, "judge"), add_token(engine, "judge", scopes=["upload"])
        self.tokens = [every, every, every, upload, "nobody's"]

    def attack(self, cases: int) -> int:
        """Send some cases to every operation, half of them against the document."""
        schema = schemathesis.openapi.from_asgi("/openapi.json", self.app)
        sent = 0
        for found in schema.get_all_operations():
            operation = found.ok()
            good, bad = (
                operation.as_strategy(mode)
                for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
            )
            # Some operations take nothing that could be wrong.
            strategy = good | bad if list(operation.iter_parameters()) or operation.body else good
            sent += self._attack(strategy, cases)
        return sent

    def _attack(self, strategy: st.SearchStrategy[Case], cases: int) -> int:
        sent = []

        @settings(
            deadline=None,
            derandomize=True,
            max_examples=cases,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        @given(case=strategy, token=st.sampled_from(self.tokens))
        def send(case: Case, token: str) -> None:
            sent.append(case)
            headers = {"Authorization": f"Bearer {token}"}
            case.call_and_validate(headers=headers, checks=CHECKS)

        send()
        return len(sent)


@pytest.fixture
def abused(start: Start) -> Abused:
    many = 1_000_000
    _, service = start(
        uploads_per_minute=many, enrollments_per_minute=many, requests_per_minute=many
    )
    return Abused(service)


# Schemathesis draws from `random` inside a strategy; it is not ours to change.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
@pytest.mark.parametrize(
    ("cases", "least"),
    [
        pytest.param(20, 250, id="500"),
        pytest.param(240, 2500, id="5000", marks=pytest.mark.slow),
    ],
)
def test_no_request_makes_it_fail_or_answer_otherwise_than_documented(
    abused: Abused, cases: int, least: int
) -> None:
    """On both databases, so twice; operations that take nothing have fewer different cases."""
    assert abused.attack(cases) >= least
    verify(abused.service.store.engine)
    abused.service.check_ready()
