"""The attacks on the filter as an audit runs them, from the command line on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from sfumato.attack.on_filter.attacker import AttackerConfig
from sfumato.attack.on_filter.audited import EnrolledMembership, EnrollmentAttack, PoisonAttack
from sfumato.attack.on_filter.membership import EnrolledDetails
from sfumato.attack.on_filter.poison import PoisonDetails, Setting
from sfumato.audit.report.report import read_report
from sfumato.audit.report.wording import wording
from sfumato.cli.main import app
from sfumato.data.sources import load
from sfumato.filter.oneclass import OneClassConfig
from sfumato.protect.baselines import Unprotected
from sfumato.types import Knowledge, Releases

_TRAINING = OneClassConfig(hidden=12, epochs=40, batch_size=32)
_FIGURES = ("mean", "pictures")


def _sides() -> tuple[Releases, Knowledge]:
    digits = load("digits", count=400)
    few = digits.subset(digits.label("digit") < 3)
    half = len(few) // 2
    none = Unprotected()
    own, victims = few.subset(range(half)), few.subset(range(half, len(few)))
    return Releases.of(none, victims), Knowledge.of(none, own)


@pytest.mark.slow
def test_a_thief_gets_more_shared_under_the_papers_rule_than_who_stole_nothing() -> None:
    victim, knowledge = _sides()
    attack = PoisonAttack(
        label="digit",
        training=_TRAINING,
        setting=Setting(rule="paper"),
        attackers=(AttackerConfig(), AttackerConfig(mode="separate")),
    )
    found = attack.run(victim, knowledge)
    assert isinstance(found.details, PoisonDetails)
    assert set(found.details.kinds) == {kind.name for kind in attack.attackers}
    assert found.value > found.floor + 0.15
    assert found.interval[0] <= found.value <= found.interval[1]
    assert (found.ceiling, found.ceiling_interval) == (1.0, (1.0, 1.0))


@pytest.mark.slow
def test_what_was_enrolled_is_told_by_the_strongest_attack() -> None:
    victim, knowledge = _sides()
    attack = EnrolledMembership(label="digit", training=_TRAINING, shadows=6)
    found = attack.run(victim, knowledge)
    assert isinstance(found.details, EnrolledDetails)
    assert found.value == pytest.approx(max(found.details.auc.values()), abs=1e-6)
    assert found.value > 0.7
    assert found.interval[0] <= found.value <= found.interval[1]
    assert (found.floor, found.ceiling) == (0.5, 1.0)
    assert len(found.details.victims) == 3


def test_what_is_no_feature_or_no_user_has_no_meaning() -> None:
    victim, knowledge = _sides()
    for attack in (
        PoisonAttack(label="digit"),
        EnrolledMembership(label="digit"),
        *(EnrollmentAttack(figure=f, label="digit") for f in _FIGURES),
    ):
        assert attack.unfit(victim, knowledge) is None
        for wrong in (victim.tensor - 0.5, victim.tensor.int(), victim.tensor / 0):
            assert "[0, 1]" in str(attack.unfit(replace(victim, tensor=wrong), knowledge))
        one = {"digit": torch.zeros(len(victim.images), dtype=torch.int64)}
        assert "two users" in str(attack.unfit(replace(victim, labels=one), knowledge))


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("audit")
    kinds = ["poison", "enrollment-mean", "enrollment-membership"]
    asked = [word for kind in kinds for word in ("--attack", f"{kind}:digit")]
    done = CliRunner().invoke(
        app,
        ["audit", "--protector", "none", "--data", "digits", "--count", "240", "--only",
         "--seeds", "1", "--quick", "--device", "cpu", "--out", str(out), "--json", *asked],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return out


@pytest.mark.slow
def test_the_command_line_runs_them_with_figures_and_words(audited: Path) -> None:
    report = read_report(audited / "report.json")
    assert not report.failed
    found = {cell.attack: cell for cell in report.cells}
    for name in ("poison:digit", "enrollment-mean:digit", "enrollment-membership:digit"):
        cell = found[name]
        assert cell.finding is not None, cell.reason
        assert cell.evidence is not None
        assert cell.evidence.share is not None  # its ceiling is known, so that it is measurable
        assert cell.finding.ceiling_interval == (1.0, 1.0)
        assert wording(name).title != name
        assert wording(name).title in (audited / "report.html").read_text()
    assert found["enrollment-mean:digit"].evidence.shown  # type: ignore[union-attr]
    assert all(wording(f"enrollment-{figure}:x").metric for figure in _FIGURES)
    kept = json.loads((audited / "report.json").read_text())["cells"]
    kinds = {c["attack"]: c["finding"]["details"]["kind"] for c in kept if c["finding"]}
    assert kinds["poison:digit"] == "poison"
    assert kinds["enrollment-membership:digit"] == "enrolled"


@pytest.mark.parametrize(
    "kind", ["poison", "enrollment-membership", *(f"enrollment-{figure}" for figure in _FIGURES)]
)
def test_without_a_label_the_command_says_what_it_needs(tmp_path: Path, kind: str) -> None:
    arguments = ["audit", "--protector", "none", "--data", "digits", "--out", str(tmp_path / "a")]
    done = CliRunner().invoke(app, [*arguments, "--only", "--attack", kind])
    assert f"`attack` {kind}:LABEL needs the label" in str(done.exception) + done.output
