"""`filter moderate`: rule on quarantine and appeals without a service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from sfumato.errors import EnrollmentError, InputError
from sfumato.filter.enrollment import open_enrollment
from sfumato.serve.database.tables import DecisionRow
from sfumato.serve.local import opened
from sfumato.serve.records.auth import account_named
from sfumato.serve.records.decisions import (
    MOST_APPEALS,
    STRANGER,
    Decision,
    Match,
    Owner,
    appeal,
    keep_blocks,
)
from tests.cli.filter.test_root import line, run
from tests.serve.test_extremes import WILD
from tests.serve.world import World, forged


@pytest.fixture
def bank(world: World, tmp_path: Path) -> Path:
    """Ada's zeros count; Eve's copy of them waits."""
    path = tmp_path / "bank.db"
    for name, content in (("ada", world.enrollments[0]), ("eve", world.copy(0))):
        file = tmp_path / f"{name}.enrollment"
        file.write_bytes(content)
        line("bank", "add", file, "--db", path, "--account", name)
    return path


def waits(bank: Path) -> list[dict[str, Any]]:
    found = line("moderate", "list", "--db", bank)["enrollments"]
    assert isinstance(found, list)
    return found


def test_what_is_quarantined_is_listed_and_admitted(bank: Path, world: World) -> None:
    (waiting,) = waits(bank)
    assert (waiting["account"], waiting["reason"]) == ("eve", "it resembles an earlier enrollment")
    place = ("--db", bank, "--backbone", world.backbone_file)
    made = line("moderate", "admit", waiting["id"][:10], *place)
    assert made == {"id": waiting["id"], "account": "eve", "status": "active"}
    assert waits(bank) == []
    assert "nothing is quarantined" in run("moderate", "list", "--db", bank).output
    with opened(str(bank)) as store:
        pairs = {(pair.overrider, pair.claimant) for pair in store.contests()}
        ada = open_enrollment(world.enrollments[0]).id
    assert (waiting["id"], ada) in pairs  # it claims, and does not override whom it resembles
    log = run("log", "--db", bank).output
    assert f"(command line): admit {waiting['id']}" in log


def test_what_is_rejected_is_erased(bank: Path) -> None:
    (waiting,) = waits(bank)
    assert line("moderate", "reject", waiting["id"], "--db", bank)["erased"] == waiting["id"]
    assert waits(bank) == []
    assert len(line("bank", "list", "--db", bank)["enrollments"]) == 1


def test_an_id_names_one_that_waits_and_nothing_else(bank: Path, world: World) -> None:
    ada = open_enrollment(world.enrollments[0]).id
    for name in (ada, waits(bank)[0]["id"][:7], "", "0" * 32):
        for command in ("admit", "reject"):
            error = run("moderate", command, name, "--db", bank).exception
            assert isinstance(error, InputError), name
            assert "moderate list" in str(error)
    assert len(waits(bank)) == 1


def test_one_with_impossible_numbers_cannot_be_admitted(bank: Path, world: World) -> None:
    base = open_enrollment(world.other()).enrollment
    (waiting,) = waits(bank)
    with opened(str(bank)) as store, store.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE contents SET content = ? WHERE enrollment = ?",
            (forged(base, **WILD["sigma that float32 takes for 0"]), waiting["id"]),
        )
    error = run("moderate", "admit", waiting["id"], "--db", bank).exception
    assert isinstance(error, EnrollmentError)
    assert "mu and sigma" in str(error)


@pytest.mark.parametrize("ruling", ["confirm", "overturn"])
def test_appeals_are_listed_and_ruled_on(bank: Path, world: World, ruling: str) -> None:
    assert "no appeal waits" in run("moderate", "appeals", "--db", bank).output
    with opened(str(bank)) as store:
        eve, ada = (account_named(store.engine, name).id for name in ("eve", "ada"))
        match = Match(
            claim="class",
            enrollment=open_enrollment(world.enrollments[0]).id,
            account=ada,
            margin=1.25,
            score=0.75,
        )
        stopped = Decision(against=match, nearest=match, frame=None, enforced=True)
        keep_blocks(store, "", [(Owner(eve), stopped)])
        appeal(store, stopped.id, account_id=eve, actor="eve", note="mine, I swear")
    (waiting,) = line("moderate", "appeals", "--db", bank)["appeals"]
    assert (waiting["id"], waiting["account"]) == (stopped.id, "eve")
    shown = run("moderate", "appeals", "--db", bank).output
    assert "eve by ada  class, margin 1.25  'mine, I swear'" in shown
    assert line("moderate", ruling, stopped.id, "--db", bank)["ruling"] == ruling
    assert line("moderate", "appeals", "--db", bank)["appeals"] == []
    error = run("moderate", ruling, stopped.id, "--db", bank).exception
    assert isinstance(error, InputError)


def test_all_appeals_are_listed(bank: Path) -> None:
    """The oldest 200 were, without a word of the others."""
    with opened(str(bank)) as store:
        eve = account_named(store.engine, "eve").id
        near = Match(claim="class", enrollment="", account=STRANGER, margin=1.0, score=1.0)
        made = [
            Decision(against=near, nearest=near, frame=None, enforced=True)
            for _ in range(MOST_APPEALS + 1)
        ]
        keep_blocks(store, "", [(Owner(eve), one) for one in made])
        with store.engine.begin() as connection:
            connection.execute(update(DecisionRow).values(appeal="open"))
    found = line("moderate", "appeals", "--db", bank)["appeals"]
    assert {one["id"] for one in found} == {one.id for one in made}
