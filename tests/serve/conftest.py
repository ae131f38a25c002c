"""The service in this process, on a database of its own, of either kind."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from sfumato.serve.app import create_app
from sfumato.serve.database.db import open_database
from sfumato.serve.records.auth import Role, add_account
from sfumato.serve.service import FilterService
from sfumato.serve.settings import ServeSettings
from tests.serve.postgres import Cluster, binary
from tests.serve.world import HIDDEN, World
from tests.waiting import PATIENCE

Start = Callable[..., tuple[TestClient, FilterService]]

PATIENT = {
    "sfumato.serve.service._ERASE_SECONDS": PATIENCE,
    "sfumato.serve.bank.follow._STALE_SECONDS": PATIENCE,
    "sfumato.serve.database.db._POOL_SECONDS": PATIENCE,
    "sfumato.serve.pictures.worker.LEAST_START_SECONDS": PATIENCE,
}
"""What the service takes for too long; a busy machine may be slower."""


@pytest.fixture(scope="module", autouse=True)
def patient() -> Iterator[None]:
    """Let services in this process wait; a test of what they do then sets its own time."""
    with pytest.MonkeyPatch.context() as patch:
        for name, seconds in PATIENT.items():
            patch.setattr(name, seconds)
        yield


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    if binary("initdb") is None:
        pytest.skip("no PostgreSQL here; on Debian: apt-get install postgresql")
    made = Cluster()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with the newest tables: a copy takes a thousandth of the migrations' time."""
    made = tmp_path_factory.mktemp("tables") / "bank.db"
    open_database(f"sqlite:///{made}").dispose()
    return made


@pytest.fixture(scope="session")
def tables_of(cluster: Cluster) -> str:
    """The name of a PostgreSQL database with the newest tables."""
    url = cluster.new_database()
    open_database(url).dispose()
    return url.rsplit("/", 1)[-1]


@contextmanager
def new_database(request: pytest.FixtureRequest, file: Path, *, made: bool) -> Iterator[str]:
    """The URL of a new database of the fixture's kind, whose tables are `made` or are not."""
    if request.param == "sqlite":
        if made:
            shutil.copy(request.getfixturevalue("tables"), file)
        yield f"sqlite:///{file}"
        return
    found: Cluster = request.getfixturevalue("cluster")
    like = {"like": request.getfixturevalue("tables_of")} if made else {}
    url = found.new_database(**like)
    yield url
    found.drop(url)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a new database; every test that takes it runs on both kinds.

    What the service answers follows from what it reads, and `make test` asks one kind for it. What
    reads, writes, locks and erases is tried on both: there this fixture is `on_both_kinds`.
    """
    with new_database(request, tmp_path / "bank.db", made=True) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def on_both_kinds(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a new database, of each kind also in `make test`."""
    with new_database(request, tmp_path / "bank.db", made=True) as url:
        yield url


@pytest.fixture
def start(world: World, database: str) -> Iterator[Start]:
    """Start the app in this process on `database`; may be called again to restart."""
    running: list[FilterService] = []

    def begin(**changes: object) -> tuple[TestClient, FilterService]:
        while running:
            running.pop().close()
        settings = ServeSettings(
            backbone=world.backbone_file,
            database=database,
            **({"hidden": HIDDEN, "answer_minutes": 0.0, "workers": 0} | changes),
        )
        service = FilterService.open(settings)
        running.append(service)
        return TestClient(create_app(service), raise_server_exceptions=False), service

    yield begin
    while running:
        running.pop().close()


MOSTLY_POSTGRESQL = pytest.mark.parametrize(
    "database", [pytest.param("sqlite", marks=pytest.mark.slow), "postgresql"], indirect=True
)
"""Of what takes long: several servers are for the one kind that they can share well."""


def bearer(service: FilterService, name: str, *, role: Role = "user") -> dict[str, str]:
    """Create an account and return the header that is its token."""
    _, token = add_account(service.store.engine, name, role=role)
    return {"Authorization": f"Bearer {token}"}
