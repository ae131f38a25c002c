"""Extreme numbers, each of which a reader takes, through the whole service: never a failure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, LargeBinary, insert, text
from sqlalchemy.exc import IntegrityError

from sfumato.filter.bounds import LARGEST, LEAST
from sfumato.filter.enrollment import Enrollment, open_enrollment
from sfumato.serve.app import create_app
from sfumato.serve.database.db import open_database, writing
from sfumato.serve.database.tables import AnchorRow, DecisionRow
from sfumato.serve.service import FilterService
from sfumato.serve.settings import ServeSettings
from tests.serve.conftest import Start, bearer, on_both_kinds
from tests.serve.world import HIDDEN, World, forged

database = on_both_kinds

EDGES = st.sampled_from([0.0, 1e-45, -1e-38, 1e-12, 1.0, -1.0, 1e3, LARGEST, -LARGEST])
ERRORS = st.floats(math.log2(LEAST), math.log2(64.0)).map(lambda power: 2.0**power)


@dataclass(frozen=True)
class Extremes:
    """Which numbers of a sound enrollment are replaced, and by what."""

    changes: dict[str, tuple[int, float]]
    """Every so manieth number of these is this one."""
    spread: float
    mu: float
    ratio: float

    def of(self, base: Enrollment) -> bytes:
        """Return the enrollment with the numbers, as its reader takes them."""
        changed: dict[str, Any] = {"code_covariance": self.spread * torch.eye(HIDDEN)}
        for name, (step, value) in self.changes.items():
            values = getattr(base, name).clone().flatten()
            values[::step] = value
            changed[name] = values.reshape(getattr(base, name).shape)
        sigma = max(LEAST, min(64.0, self.mu * self.ratio))
        return forged(base, mu=self.mu, sigma=sigma, **changed)


NAMES = ("encoder", "encoder_bias", "decoder", "decoder_bias", "code_mean")
EXTREMES = st.builds(
    Extremes,
    changes=st.dictionaries(st.sampled_from(NAMES), st.tuples(st.integers(1, 7), EDGES)),
    spread=st.sampled_from([0.0, 1e-40, 1e-2, 1.0, LARGEST**2]),
    mu=ERRORS,
    ratio=st.sampled_from([0.01, 1.0, 1e6]),
)


@pytest.fixture(scope="module")
def desk(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FilterService]:
    settings = ServeSettings(
        backbone=world.backbone_file,
        database=f"sqlite:///{tmp_path_factory.mktemp('extremes')}/bank.db",
        hidden=HIDDEN,
        workers=0,
        quota=10_000,
        flood=10_000,
        answer_minutes=0.0,
        uploads_per_minute=10**6,
        enrollments_per_minute=10**6,
    )
    service = FilterService.open(settings)
    yield service
    service.close()


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(extremes=EXTREMES, seed=st.integers(0, 3))
def test_no_number_that_is_taken_makes_the_service_fail(
    desk: FilterService, world: World, extremes: Extremes, seed: int
) -> None:
    client = TestClient(create_app(desk), raise_server_exceptions=False)
    known = getattr(desk, "bearers", None)
    if known is None:
        known = [bearer(desk, "eve"), bearer(desk, "ada"), bearer(desk, "judge", role="moderator")]
        desk.bearers = known  # type: ignore[attr-defined]  # of this test alone
        client.post("/v1/enrollments", content=world.enrollments[0], headers=known[1])
    eve, ada, judge = known
    base = open_enrollment(world.other(seed=seed)).enrollment

    def ask(method: str, path: str, who: dict[str, str], **content: Any) -> Any:
        answer = client.request(method, path, headers=who, **content)
        assert answer.status_code < 500, (path, answer.text)
        assert "NaN" not in answer.text
        return answer.json() if answer.content and answer.is_success else None

    sent = ask("POST", "/v1/enrollments", eve, content=extremes.of(base))
    if sent is None:
        return
    ask("POST", f"/v1/quarantine/{sent['id']}", judge, json={"verdict": "admit"})
    for hours in (0, 1):
        ask("POST", f"/v1/enrollments/{sent['id']}/disable", judge, json={"hours": hours})
        for alpha in (0.0, 20.0):
            ask("PATCH", "/v1/rules", judge, json={"alpha": alpha})
            for digit in (0, 5):
                answer = ask("POST", "/v1/uploads", ada, content=world.png(digit, 3))
                assert answer["decision"] in ("share", "block")
                if answer["decision"] == "block":
                    found = ask("GET", f"/v1/decisions/{answer['id']}", judge)
                    assert math.isfinite(found["margin"])
    for path in ("/v1/curve", "/v1/forecast?value=3", "/v1/counts", "/v1/quarantine"):
        assert ask("GET", path, judge) is not None
    ask("DELETE", f"/v1/enrollments/{sent['id']}", eve)


WILD: dict[str, dict[str, Any]] = {
    "sigma that float32 takes for 0": {"sigma": 1e-60},
    "mu that float32 takes for infinite": {"mu": 1e300},
    "weights that overflow": {"decoder": torch.full((64, HIDDEN), 3e38)},
}


@pytest.mark.parametrize("name", WILD)
def test_an_old_row_with_impossible_numbers_waits_and_stops_nothing(
    start: Start, world: World, database: str, name: str
) -> None:
    """Releases before this one let such enrollments count."""
    client, service = start()
    ada = bearer(service, "ada")
    client.post("/v1/enrollments", content=world.enrollments[0], headers=ada)
    base = open_enrollment(world.other()).enrollment
    _as_before(service, forged(base, **WILD[name]))
    client, service = start()
    assert len(service.state) == 1
    judge = bearer(service, "judge", role="moderator")
    (waiting,) = client.get("/v1/quarantine", headers=judge).json()
    assert waiting["reason"] == "its numbers are out of bounds; it cannot count"
    path = f"/v1/quarantine/{waiting['id']}"
    assert client.post(path, json={"verdict": "admit"}, headers=judge).status_code == 422
    upload = client.post("/v1/uploads", content=world.png(0, 0), headers=judge)
    assert upload.json()["decision"] == "block"
    assert client.post(path, json={"verdict": "reject"}, headers=judge).status_code == 204


def _as_before(service: FilterService, content: bytes) -> None:
    """Put an enrollment in as an earlier release did, and take the database back to that one."""
    row = "(id, account_id, status, reason, created)"
    values = "(:id, 1, 'active', '', '2026-01-01T00:00:00.000000+00:00')"
    from sfumato.filter.enrollment import signed_id

    with writing(service.store.engine) as session:
        given = {"id": signed_id(content), "content": content}
        session.execute(text(f"INSERT INTO enrollments {row} VALUES {values}"), given)
        session.execute(text("INSERT INTO contents VALUES (:id, :content)"), given)
    older(service)


def older(service: FilterService) -> None:
    """Undo the last two migrations: nothing but this test goes back."""
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    with service.store.engine.begin() as connection:
        operations = Operations(MigrationContext.configure(connection))
        operations.add_column("enrollments", Column("content", LargeBinary))
        files = "SELECT content FROM contents WHERE enrollment = id"
        connection.execute(text(f"UPDATE enrollments SET content = ({files})"))
        operations.drop_table("contents")
        with operations.batch_alter_table("decisions") as batch:
            for column in ("margin", "score"):
                batch.drop_constraint(f"decisions_{column}_is_finite", type_="check")
            batch.drop_constraint("decisions_gateway_id_fkey", type_="foreignkey")
            batch.drop_column("person")
            batch.drop_column("gateway_id")
        with operations.batch_alter_table("anchors") as batch:
            batch.drop_constraint("anchors_anchor_is_positive", type_="check")
        connection.execute(text("UPDATE alembic_version SET version_num = '0006'"))


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_the_database_refuses_numbers_that_are_none(database: str, value: float) -> None:
    engine = open_database(database)
    decision = {"id": "0" * 32, "account_id": 1, "enforced": True, "claim": "class", "policy": ""}
    decision |= {"created": "", "appeal": "none", "note": "", "margin": value}
    anchor = {"policy": "", "enrollment": "0" * 32, "anchor": value}
    rows = [(AnchorRow, anchor)]
    if not (math.isnan(value) and engine.dialect.name == "sqlite"):  # which keeps it as NULL
        rows.append((DecisionRow, decision))  # type: ignore[arg-type]  # another table
    for table, row in rows:
        refused = pytest.raises(
            IntegrityError, match=r"margin_is_finite|anchor_is_positive|NOT NULL"
        )
        with refused, writing(engine) as session:
            session.execute(insert(table).values(row))
    engine.dispose()
