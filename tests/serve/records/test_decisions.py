"""Blocked uploads are on record when they are answered, many in one transaction."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event, select

from sfumato.errors import SfumatoError
from sfumato.serve.database.db import open_database, reading
from sfumato.serve.database.tables import DecisionRow
from sfumato.serve.records.auth import add_account
from sfumato.serve.records.decisions import Against, Stopped, find, keep_blocks, new_id
from sfumato.serve.records.store import Store
from tests.serve.conftest import Start, bearer
from tests.serve.world import World


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    made = Store(open_database(database))
    yield made
    made.engine.dispose()


def stopped(account_id: int, margin: float = 1.0) -> Stopped:
    against = Against("class", "0" * 32, margin, 0.5)
    return Stopped(id=new_id(), account_id=account_id, against=against, enforced=True)


def recorded(store: Store) -> dict[str, float]:
    with reading(store.engine) as session:
        return {row.id: row.margin for row in session.scalars(select(DecisionRow))}


def test_all_of_a_batch_are_on_record_in_one_transaction(store: Store) -> None:
    account = add_account(store.engine, "ada")[0].id
    uploads = [stopped(account, float(number)) for number in range(20)]
    commits: list[object] = []
    event.listen(store.engine, "commit", commits.append)
    keep_blocks(store, uploads)
    assert len(commits) == 1
    assert recorded(store) == {upload.id: upload.against.margin for upload in uploads}
    # The enrollment was erased while they were scored: it is not named.
    assert find(store, uploads[0].id).enrollment is None


def test_none_of_a_batch_is_on_record_where_one_cannot_be(store: Store) -> None:
    account = add_account(store.engine, "ada")[0].id
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        keep_blocks(store, [stopped(account), stopped(account + 1), stopped(account)])
    assert recorded(store) == {}


def test_uploads_that_are_blocked_together_are_written_together(start: Start, world: World) -> None:
    client, service = start()
    ada, eve = bearer(service, "ada"), bearer(service, "eve")
    client.post("/v1/enrollments", content=world.enrollments[0], headers=ada)
    write, sizes, held = service._blocks._run, [], threading.Event()

    def counted(uploads: Sequence[Stopped]) -> Sequence[None]:
        sizes.append(len(uploads))
        held.wait(0.3)  # long enough for the others to come
        return write(uploads)

    service._blocks._run = counted
    with ThreadPoolExecutor(16) as pool:
        answers = list(
            pool.map(
                lambda index: client.post(
                    "/v1/uploads", content=world.png(0, index), headers=eve
                ).json(),
                range(120, 136),
            )
        )
    blocked = {answer["id"] for answer in answers if answer["decision"] == "block"}
    assert len(blocked) >= 12
    assert recorded(service.store).keys() == blocked
    assert sum(sizes) == len(blocked)
    assert max(sizes) > 1


def test_a_block_that_cannot_be_written_is_not_answered_as_decided(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, service = start()
    ada, eve = bearer(service, "ada"), bearer(service, "eve")
    client.post("/v1/enrollments", content=world.enrollments[0], headers=ada)

    def full(_: object) -> None:
        raise SfumatoError("no space")

    monkeypatch.setattr(service._blocks, "_run", full)
    answers = [
        client.post("/v1/uploads", content=world.png(0, index), headers=eve)
        for index in range(120, 130)
    ]
    assert {answer.status_code for answer in answers} <= {200, 500}
    assert all(answer.json().get("decision") != "block" for answer in answers)
    assert sum(answer.status_code == 500 for answer in answers) >= 7
    assert recorded(service.store) == {}
