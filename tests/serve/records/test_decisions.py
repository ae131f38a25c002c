"""Blocked uploads are on record when they are answered, many in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import event, select

from sfumato.errors import RequestError, SfumatoError
from sfumato.filter.rule.guard import BLOCKED, SHARED
from sfumato.serve.bank import uploads as bank_uploads
from sfumato.serve.database.db import open_database, reading
from sfumato.serve.database.tables import DecisionRow
from sfumato.serve.records.audit_log import events
from sfumato.serve.records.auth import add_account
from sfumato.serve.records.decisions import (
    FACELESS,
    OBSERVED,
    STRANGER,
    Counts,
    Decision,
    Match,
    Owner,
    Ruled,
    Ruling,
    appeal,
    appeals,
    counts,
    find,
    keep_blocks,
    rule,
    rulings,
)
from sfumato.serve.records.store import Store, Stored
from tests.serve.conftest import Start, bearer
from tests.serve.world import World
from tests.waiting import wait_until


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
    write, put = bank_uploads.keep_blocks, service.uploads.blocks.put
    sizes: list[int] = []
    came: list[object] = []

    def counted(store: Store, policy: str, some: Sequence[tuple[Owner, Decision]]) -> None:
        sizes.append(len(some))
        wait_until(lambda: len(came) > 2)  # so that of the first or the next group there are two
        write(store, policy, some)

    def noted(item: tuple[Any, Decision]) -> None:
        put(item)
        came.append(item)

    monkeypatch.setattr(bank_uploads, "keep_blocks", counted)
    monkeypatch.setattr(service.uploads.blocks, "put", noted)
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


NEAR = Match(claim="class", enrollment="", account=STRANGER, margin=-0.5, score=2.5)


@pytest.mark.parametrize(
    ("against", "enforced", "faceless", "blocked", "explanation"),
    [
        (True, True, False, True, BLOCKED),
        (True, False, False, False, OBSERVED),
        (False, True, False, False, SHARED),
        (False, False, False, False, SHARED),
        (False, True, True, False, FACELESS),
    ],
)
def test_a_decision_tells_the_platform_more_than_the_uploader(
    against: bool, enforced: bool, faceless: bool, blocked: bool, explanation: str
) -> None:
    match = stopped().match if against else None
    made = Decision(against=match, nearest=NEAR, frame=None, enforced=enforced, faceless=faceless)
    assert made.blocked == blocked
    assert made.verdict == ("block" if blocked else "share")
    assert made.reason == (BLOCKED if blocked else SHARED)
    assert made.explanation == explanation
    assert made.match == (match or NEAR)
    assert made.id != Decision(against=match, nearest=NEAR, frame=None, enforced=enforced).id


@pytest.mark.parametrize(("margin", "blocks"), [(-1e-9, False), (0.0, True), (2.0, True)])
def test_a_match_stands_against_an_upload_from_its_threshold_on(
    margin: float, blocks: bool
) -> None:
    assert Match(claim="copy", enrollment="", account=1, margin=margin, score=None).blocks == blocks


def test_a_gateway_appeals_for_the_person_it_named_and_nobody_else_does(store: Store) -> None:
    ada, gate, other = (add_account(store.engine, name)[0].id for name in ("ada", "gate", "other"))
    owners = [
        Owner(ada, "ada", gate),  # a person who has an account
        Owner(gate, "kim", gate),  # one who has none
        Owner(gate),  # what the gateway sent for nobody in particular
    ]
    uploads = [stopped() for _ in range(9)]
    asked = [
        (owners[0], ada, None, 204),
        (owners[0], gate, "ada", 204),
        (owners[0], gate, "kim", 404),
        (owners[0], gate, None, 404),
        (owners[0], other, "ada", 404),
        (owners[1], gate, "kim", 204),
        (owners[1], gate, None, 404),
        (owners[1], ada, "kim", 404),
        (owners[2], gate, None, 204),
    ]
    for (owner, who, person, expected), upload in zip(asked, uploads, strict=True):
        keep_blocks(store, "", [(owner, upload)])
        found = status(
            lambda id_=upload.id, who=who, person=person: appeal(
                store, id_, account_id=who, actor="x", note="", person=person
            )
        )
        assert found == expected, (owner, who, person)
        shown = {ada: "ada", gate: "gate"}[owner.account_id]
        assert find(store, upload.id).account == (owner.person or shown)


def test_open_appeals_come_oldest_first_and_not_all_at_once(store: Store) -> None:
    ada = add_account(store.engine, "ada")[0].id
    uploads = [stopped() for _ in range(4)]
    for upload in uploads:
        keep_blocks(store, "", [(Owner(ada), upload)])
    for upload in reversed(uploads):
        appeal(store, upload.id, account_id=ada, actor="ada", note=upload.id[:3])
    assert [one.id for one in appeals(store)] == [one.id for one in uploads]
    assert [one.id for one in appeals(store, limit=3)] == [one.id for one in uploads[:3]]
    rule(store, uploads[0].id, "confirm", actor="judge")
    said = [(e.actor, e.action, e.subject) for e in events(store.engine)][-5:]
    assert said == [
        *(("ada", "appeal", upload.id) for upload in reversed(uploads)),
        ("judge", "confirm", uploads[0].id),
    ]


def test_an_answer_says_in_which_unit_and_whose_claim_it_was(store: Store) -> None:
    ada, bob = (add_account(store.engine, name)[0].id for name in ("ada", "bob"))
    name = "1" * 32
    store.insert(Stored(id=name, account_id=bob, content=b""), status="active", reason="")
    policies = ("", "ab" * 32)
    for policy in policies:
        upload = stopped(0.75, enrollment=name)
        keep_blocks(store, policy, [(Owner(ada), upload)])
        found = find(store, upload.id)
        assert found.unit == ("false_blocks" if policy else "alpha")
        assert (found.enrollment, found.enrollment_account, found.claim) == (name, "bob", "class")
        assert (found.margin, found.score, found.enforced) == (0.75, 0.5, True)
    for wrong in ("0" * 32, "x", "", "0" * 31, "A" * 32):
        with pytest.raises(RequestError, match="nothing stood against") as caught:
            find(store, wrong)
        assert caught.value.status == 404


def test_rulings_are_those_on_claims_of_a_class_under_one_policy(store: Store) -> None:
    ada, bob = (add_account(store.engine, name)[0].id for name in ("ada", "bob"))
    name = "1" * 32
    store.insert(Stored(id=name, account_id=bob, content=b""), status="active", reason="")
    copied = Match(claim="copy", enrollment=name, account=bob, margin=3.0, score=None)
    copy = Decision(against=copied, nearest=copied, frame=None, enforced=True)
    uploads = [stopped(enrollment=name) for _ in range(4)]
    gone = stopped()
    keep_blocks(store, "p", [(Owner(ada), one) for one in (*uploads, copy, gone)])
    other = stopped(enrollment=name)
    keep_blocks(store, "", [(Owner(ada), other)])
    judged: list[tuple[Decision, Ruling]] = [
        (uploads[0], "confirm"), (uploads[1], "overturn"), (copy, "confirm"), (gone, "confirm"),
        (other, "overturn"),
    ]  # fmt: skip
    for upload in (*(one for one, _ in judged), uploads[2]):
        appeal(store, upload.id, account_id=ada, actor="ada", note="")
    for upload, ruling in judged:
        rule(store, upload.id, ruling, actor="judge")
    assert sorted(rulings(store, "p"), key=lambda one: one.confirmed) == [
        Ruled(bob, 0.5, confirmed=False),
        Ruled(bob, 0.5, confirmed=True),
    ]
    assert rulings(store, "") == [Ruled(bob, 0.5, confirmed=False)]
    assert rulings(store, "q") == []
