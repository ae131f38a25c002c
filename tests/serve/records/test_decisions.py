"""Blocked uploads are on record when they are answered, many in one transaction."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event, select

from sfumato.errors import RequestError, SfumatoError
from sfumato.serve.bank import uploads as bank_uploads
from sfumato.serve.database.db import open_database, reading
from sfumato.serve.database.tables import DecisionRow
from sfumato.serve.records.auth import add_account
from sfumato.serve.records.decisions import (
    Counts,
    Decision,
    Match,
    Owner,
    Ruling,
    appeal,
    appeals,
    counts,
    find,
    keep_blocks,
    rule,
)
from sfumato.serve.records.store import Store, Stored
from tests.serve.conftest import Start, bearer
from tests.serve.world import World


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    made = Store(open_database(database))
    yield made
    made.engine.dispose()


def stopped(margin: float = 1.0, *, enforced: bool = True, enrollment: str = "0" * 32) -> Decision:
    match = Match(claim="class", enrollment=enrollment, account=1, margin=margin, score=0.5)
    return Decision(against=match, nearest=match, frame=None, enforced=enforced)


def recorded(store: Store) -> dict[str, float | None]:
    with reading(store.engine) as session:
        return {row.id: row.margin for row in session.scalars(select(DecisionRow))}


def status(call: Callable[[], object]) -> int:
    """The status with which a request is refused; 204 where it is done."""
    try:
        call()
    except RequestError as error:
        return error.status
    return 204


def test_only_what_was_really_blocked_is_appealed_by_its_uploader_once(store: Store) -> None:
    ada, eve = (add_account(store.engine, name)[0].id for name in ("ada", "eve"))
    blocked, observed = stopped(), stopped(enforced=False)
    keep_blocks(store, "", [(Owner(ada), blocked), (Owner(ada), observed)])

    def ask(id_: str, who: int) -> int:
        return status(lambda: appeal(store, id_, account_id=who, actor="x", note="why"))

    assert ask(observed.id, ada) == 404
    assert ask(blocked.id, eve) == 404
    assert ask("0" * 32, ada) == ask("no id", ada) == 404
    assert find(store, observed.id).appeal == find(store, blocked.id).appeal == "none"
    assert [ask(blocked.id, ada) for _ in range(2)] == [204, 409]
    assert (find(store, blocked.id).appeal, find(store, blocked.id).note) == ("open", "why")
    assert [block.id for block in appeals(store)] == [blocked.id]


@pytest.mark.parametrize("ruling", ["confirm", "overturn"])
def test_only_an_open_appeal_is_ruled_on_once(store: Store, ruling: Ruling) -> None:
    ada = add_account(store.engine, "ada")[0].id
    quiet, asked = stopped(), stopped()
    keep_blocks(store, "", [(Owner(ada), quiet), (Owner(ada), asked)])
    appeal(store, asked.id, account_id=ada, actor="ada", note="")

    def judge(id_: str, how: Ruling = ruling) -> int:
        return status(lambda: rule(store, id_, how, actor="judge"))

    assert judge(quiet.id) == judge("0" * 32) == judge("no id") == 404
    assert find(store, quiet.id).appeal == "none"
    assert [judge(asked.id), judge(asked.id, "confirm"), judge(asked.id, "overturn")] == [
        204,
        404,
        404,
    ]
    ruled = {"confirm": "confirmed", "overturn": "overturned"}[ruling]
    assert find(store, asked.id).appeal == ruled
    assert appeals(store) == []


def test_counts_are_those_of_counting_one_by_one(store: Store) -> None:
    ada = add_account(store.engine, "ada")[0].id
    names = [f"{number}" * 32 for number in (1, 2)]
    for name in names:
        store.insert(Stored(id=name, account_id=ada, content=b""), status="active", reason="")
    kinds = [
        (name, enforced, state)
        for name in (*names, "0" * 32)  # of the last there is no enrollment: it was erased
        for enforced, state in (
            (False, "none"), (True, "none"), (True, "open"), (True, "confirmed"),
            (True, "overturned"),
        )
    ]  # fmt: skip
    expected: dict[str, Counter[str]] = {}
    for number, (name, enforced, state) in enumerate(kinds):
        uploads = [stopped(enforced=enforced, enrollment=name) for _ in range(number % 4)]
        keep_blocks(store, "", [(Owner(ada), upload) for upload in uploads])
        for upload in uploads:
            if state != "none":
                appeal(store, upload.id, account_id=ada, actor="ada", note="")
            if state in ("confirmed", "overturned"):
                ruling: Ruling = "confirm" if state == "confirmed" else "overturn"
                rule(store, upload.id, ruling, actor="judge")
            own = expected.setdefault(name if name in names else "", Counter())
            own.update({"enforced" if enforced else "observed": 1, state: 1})
    for own in expected.values():
        own.pop("none", None)
    assert counts(store) == {name: Counts(**own) for name, own in expected.items()}


def test_all_of_a_batch_are_on_record_in_one_transaction(store: Store) -> None:
    account = add_account(store.engine, "ada")[0].id
    uploads = [stopped(float(number)) for number in range(20)]
    commits: list[object] = []
    event.listen(store.engine, "commit", commits.append)
    keep_blocks(store, "", [(Owner(account), upload) for upload in uploads])
    assert len(commits) == 1
    assert recorded(store) == {upload.id: upload.match.margin for upload in uploads}
    # The enrollment was erased while they were scored: it is not named.
    assert find(store, uploads[0].id).enrollment is None


def test_none_of_a_batch_is_on_record_where_one_cannot_be(store: Store) -> None:
    account = add_account(store.engine, "ada")[0].id
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        keep_blocks(store, "", [(Owner(who), stopped()) for who in (account, account + 1, account)])
    assert recorded(store) == {}


def test_uploads_that_are_blocked_together_are_written_together(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, service = start()
    ada, eve = bearer(service, "ada"), bearer(service, "eve")
    client.post("/v1/enrollments", content=world.enrollments[0], headers=ada)
    write, sizes, held = bank_uploads.keep_blocks, [], threading.Event()

    def counted(store: Store, policy: str, some: Sequence[tuple[Owner, Decision]]) -> None:
        sizes.append(len(some))
        held.wait(0.3)  # long enough for the others to come
        write(store, policy, some)

    monkeypatch.setattr(bank_uploads, "keep_blocks", counted)
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

    def full(*_: object) -> None:
        raise SfumatoError("no space")

    monkeypatch.setattr(bank_uploads, "keep_blocks", full)
    answers = [
        client.post("/v1/uploads", content=world.png(0, index), headers=eve)
        for index in range(120, 130)
    ]
    assert {answer.status_code for answer in answers} <= {200, 500}
    assert all(answer.json().get("decision") != "block" for answer in answers)
    assert sum(answer.status_code == 500 for answer in answers) >= 7
    assert recorded(service.store) == {}
