"""`filter check` and `filter serve` take the same decision, whatever the rules are."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sfumato.cli.main import app
from sfumato.data.decoding.decode import encode_png
from sfumato.data.sources import load
from sfumato.filter.bank import bank as bank_module
from sfumato.filter.rule.guard import BLOCKED, SHARED
from sfumato.serve.local import judging
from sfumato.serve.records.auth import Account, account_named, add_account
from sfumato.serve.records.decisions import OBSERVED, Decision, Match
from sfumato.serve.records.rules import change_account, change_bank, disable_enrollment
from sfumato.serve.service import FilterService
from sfumato.serve.settings import ServeSettings
from tests.serve.test_copies import enrolled
from tests.serve.world import HIDDEN, World

PEOPLE = ("ada", "bob", "cy", "eve", "dan", "fay", "gil", "hal")
DISABLED = ("nothing", "ada's enrollment", "ada's account", "the bank")
COPIED = load("characters", count=1, size=96, seed=3).images[0]


class Platform:
    """A service on a bank in a file, the uploads that it may get, and who sends them."""

    def __init__(self, world: World, folder: Path, *, reach: float | None = None) -> None:
        self.world, self.folder, self.bank = world, folder, f"{folder}/a.bank"
        self.reach = reach
        self.service = FilterService.open(
            ServeSettings(
                backbone=world.backbone_file,
                database=f"sqlite:///{self.bank}",
                hidden=HIDDEN,
                shortlist=reach,
                workers=0,
            )
        )
        self.store = self.service.store
        for name in PEOPLE:
            add_account(self.store.engine, name)
        self.asks = add_account(self.store.engine, "platform", role="uploader")[0]
        self.moderator = add_account(self.store.engine, "judge", role="moderator")[0]
        self.ada = self.service.enroll(self.named("ada"), world.enrollments[0]).id
        self.service.enroll(self.named("bob"), enrolled(world, 1, COPIED[None]))
        self.service.enroll(self.named("cy"), world.enrollments[6])
        self.attacker = self.service.enroll(self.named("eve"), world.copy(0)).id
        self.pictures = {
            "nought": world.png(0, 130),
            "one": world.png(1, 130),
            "six": world.png(6, 130),
            "eight": world.png(8, 130),
            "copy": encode_png(COPIED),
        }

    def named(self, name: str) -> Account:
        return account_named(self.store.engine, name)

    def rule(self, enforced: float, disabled: str) -> None:
        store, hours = self.store, {name: float(disabled == name) for name in DISABLED}
        bank = hours["the bank"]
        change_bank(store, actor="test", enforced=enforced, disable_hours=bank)
        change_account(store, "ada", actor="test", disable_hours=hours["ada's account"])
        disable_enrollment(store, self.ada, hours["ada's enrollment"], actor="test")
        self.service.apply_rules()

    def served(self, picture: str, owner: str) -> tuple[str, str]:
        verdict = self.service.decide(self.asks, self.pictures[picture], owner)
        return verdict.decision, verdict.reason

    def checked(self, picture: str, owner: str | None) -> Decision:
        path = self.folder / f"{picture}.png"
        path.write_bytes(self.pictures[picture])
        with judging(self.bank, self.world.backbone_file, owner, reach=self.reach) as judge:
            return judge(path)


@pytest.fixture
def platform(world: World, tmp_path: Path) -> Iterator[Platform]:
    made = Platform(world, tmp_path)
    yield made
    made.service.close()


@pytest.mark.parametrize(
    "attacker", [pytest.param("quarantined", marks=pytest.mark.slow), "contested"]
)
def test_check_and_service_decide_alike(platform: Platform, attacker: str) -> None:
    draw = random.Random(0)
    if attacker == "contested":
        platform.service.moderate(platform.moderator, platform.attacker, admit=True)
        assert platform.store.contests()
    seen = set()
    for enforced, disabled in product((0.0, 0.5, 1.0), DISABLED):
        platform.rule(enforced, disabled)
        cases = list(product(platform.pictures, PEOPLE))
        for picture, owner in draw.sample(cases, 10):
            found = platform.checked(picture, owner)
            case = (enforced, disabled, picture, owner)
            assert (found.verdict, found.reason) == platform.served(picture, owner), case
            seen.add((found.verdict, found.explanation == OBSERVED, found.against is not None))
    assert seen == {("block", False, True), ("share", True, True), ("share", False, False)}


@pytest.mark.parametrize("reach", [0.0, 0.4, 9.0])
def test_check_decides_by_the_services_shortlist(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reach: float
) -> None:
    """A reach of nought misses claims; whoever checks with it sees what the service answers."""
    monkeypatch.setattr(bank_module, "SMALL", 0)
    platform = Platform(world, tmp_path, reach=reach)
    platform.rule(1.0, "nothing")
    decisions = set()
    for picture, owner in product(platform.pictures, ("ada", "cy", "dan")):
        found = platform.checked(picture, owner)
        assert (found.verdict, found.reason) == platform.served(picture, owner), (picture, owner)
        decisions.add(found.verdict)
    platform.service.close()
    assert decisions == {"share", "block"}


@pytest.mark.parametrize("picture", ["nought", "six", "eight", "copy"])
@pytest.mark.parametrize("enforced", [0.0, 1.0])
def test_a_stranger_without_a_name_is_one_who_is_not_known(
    platform: Platform, picture: str, enforced: float
) -> None:
    platform.rule(enforced, "nothing")
    found = platform.checked(picture, None)
    assert (found.verdict, found.reason) == platform.served(picture, "somebody-else")
    assert (found.against is None) == (picture == "eight")


def test_in_a_part_of_a_roll_out_nobody_named_is_blocked(platform: Platform) -> None:
    platform.rule(1e-6, "nothing")
    assert platform.checked("nought", None).verdict == "block"
    assert platform.checked("nought", "dan").verdict == "share"


def test_check_says_that_the_rule_is_not_enforced(platform: Platform) -> None:
    def run(*options: str) -> str:
        backbone = ["--backbone", str(platform.world.backbone_file)]
        path = str(platform.folder / "nought.png")
        command = ["filter", "check", path, "--db", platform.bank, *backbone, *options]
        return CliRunner().invoke(app, command).stdout

    platform.rule(1.0, "nothing")
    assert platform.checked("nought", None).blocked
    assert run().startswith("block: it matches")
    platform.rule(0.0, "nothing")
    assert run().startswith("share: would block, but the rule is not enforced (margin")
    found = json.loads(run("--json"))
    assert (found["decision"], found["reason"]) == ("share", OBSERVED)
    assert (found["would_block"], found["enforced"]) == (True, False)
    assert found["enrollment"] == platform.ada


def test_the_margin_of_a_copy_is_in_bits(platform: Platform) -> None:
    platform.checked("copy", None)
    command = ["filter", "check", str(platform.folder / "copy.png"), "--db", platform.bank]
    command += ["--backbone", str(platform.world.backbone_file)]
    assert "bits; nearest enrollment" in CliRunner().invoke(app, command).stdout


def test_what_an_uploader_is_told_names_nobody() -> None:
    match = Match(claim="class", enrollment="ada's", account=7, margin=1.0, score=0.5)
    told = {
        (found.verdict, found.reason)
        for against in (None, match)
        for enforced in (True, False)
        for found in [Decision(against=against, nearest=match, frame=None, enforced=enforced)]
    }
    assert told == {("share", SHARED), ("block", BLOCKED)}
    assert not any(character.isdigit() for _, reason in told for character in reason)
