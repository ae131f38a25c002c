"""`docs/audit-everything.toml` is a matrix of every kind, and none of its cells fails."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sfumato.attack.tools.learners import LearnerConfig
from sfumato.audit.attacks import ATTACKS, Setting, default_attacks
from sfumato.audit.protectors import PROTECTORS
from sfumato.cli import app
from sfumato.nets.cuts import PAPER_CUT
from sfumato.protect.anonymizer.model import Anonymizer
from sfumato.protect.obfuscator.model import Obfuscator
from sfumato.protect.pretrained import KINDS, PretrainedProtector
from sfumato.protect.prototypes.model import PrototypeAnonymizer
from sfumato.protect.san.model import SemiAdversarial
from tests.protect.standing import STANDING

CONFIG = Path(__file__).parents[2] / "docs" / "audit-everything.toml"
ON_FILTER = {"poison", "enrollment-mean", "enrollment-pictures", "enrollment-membership"}
"""They train a filter of ten users a protector: a matter of its own, not of every kind."""
SIZE: dict[str, Any] = {"channels": 3, "height": 32, "width": 32}


def kind(spec: str) -> str:
    return spec.partition(":")[0]


def untrained() -> dict[str, PretrainedProtector]:
    """What the folders of the page hold, but for the training."""
    return {
        "prototypes": PrototypeAnonymizer(
            **SIZE, hides="identity", prototypes=4, features=4, dim=8, standing=STANDING
        ),
        "anonymizer": Anonymizer(**SIZE, hides="identity", lam=2.0, features=4, code=4),
        "san": SemiAdversarial(**SIZE, attributes=("glasses",)),
        "obfuscator": Obfuscator(
            **SIZE, utility="expression", classes=["a", "b"], scale=0.07, cut=PAPER_CUT
        ),
    }


def test_no_kind_is_missing() -> None:
    config = tomllib.loads(CONFIG.read_text())
    named = {kind(spec) for spec in config["protector"]}
    # k-same draws from pictures that the collection's owner would have to publish as well.
    assert named == set(KINDS) | set(PROTECTORS) - {"ksame"}
    setting = Setting(seeds=(0,), config=LearnerConfig(), kept=tuple(config["utility"]))
    default = {kind(attack.name) for attack in default_attacks(config["private"], setting)}
    assert {kind(spec) for spec in config["attack"]} == set(ATTACKS) - default - ON_FILTER


@pytest.mark.slow
def test_no_cell_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attackers of one epoch: what they find is not looked at, only that they can be asked."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sfumato.cli.audit.QUICK_EPOCHS", 1)
    for name, made in untrained().items():
        made.save_pretrained(tmp_path / name)
    small = ["--quick", "--count", "96", "--seeds", "1", "--device", "cpu", "--json"]
    done = CliRunner().invoke(app, ["audit", "--config", str(CONFIG), *small])
    assert done.exit_code == 0, done.output
    cells = json.loads(done.stdout)["cells"]
    assert [cell["error"] for cell in cells if cell["error"]] == []
    for cell in cells:
        without = kind(cell["attack"].split(" ")[0]) in ("reidentify", "membership")
        assert (cell["finding"] is None) >= without, cell
    measured: dict[str, set[str]] = {cell["protector"]: set() for cell in cells}
    for cell in cells:
        if cell["finding"] is not None:
            measured[cell["protector"]].add(kind(cell["attack"]))
    assert len(measured) == len(tomllib.loads(CONFIG.read_text())["protector"])
    assert all(
        {"attributes", "utility", "reconstruct", "linkage", "verify"} <= m
        for m in measured.values()
    )
    keyed = [name for name in measured if kind(name) in ("shufflebits", "sealed")]
    assert all("popcounts" in measured[name] for name in keyed)
