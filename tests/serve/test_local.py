"""Several enrollment files at once: all are added, or none and the bad one is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from sfumato.cli.main import app
from sfumato.errors import BankError, InputError, SfumatoError
from sfumato.features.backbone import open_backbone
from sfumato.features.policy import Policy
from sfumato.filter.enrollment import open_enrollment, seal_enrollment
from sfumato.serve.local import add_files, opened, remove
from sfumato.serve.moderating import admit
from tests.serve.world import HIDDEN, World, forged


def _altered(world: World) -> bytes:
    content = bytearray(world.enrollments[1])
    content[-5] ^= 1
    return bytes(content)


def _contradicting(world: World) -> bytes:
    honest = open_enrollment(world.enrollments[1]).enrollment
    return seal_enrollment(replace(honest, sigma=honest.mu / 500), Ed25519PrivateKey.generate())


BAD: dict[str, Callable[[World], bytes | None]] = {
    "no file": lambda world: None,
    "text": lambda world: b"no enrollment",
    "cut short": lambda world: world.enrollments[1][:-9],
    "altered": _altered,
    "for another backbone": lambda world: world.other(backbone="0" * 64),
    "of another size": lambda world: world.other(hidden=HIDDEN + 1),
    "with a sigma that no device writes": _contradicting,
    "with NaN": lambda world: forged(
        open_enrollment(world.enrollments[1]).enrollment,
        code_mean=torch.full((HIDDEN,), torch.nan),
    ),
    "somebody else's": lambda world: world.enrollments[6],
}


def state_of(path: Path) -> tuple[object, ...]:
    """What a bank holds, and what its audit log and its accounts say."""
    with opened(str(path)) as store:
        from sfumato.serve.records.audit_log import events

        return store.terms(), store.entries(), store.last_change(), [*events(store.engine)]


@pytest.fixture
def bank(world: World, tmp_path: Path) -> Path:
    """A bank with an enrollment of Bob's."""
    (tmp_path / "bobs").write_bytes(world.enrollments[6])
    add_files(str(tmp_path / "my.db"), [tmp_path / "bobs"], "bob")
    return tmp_path / "my.db"


@pytest.mark.parametrize("form", ["{}", pytest.param("sqlite:///{}", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", BAD)
def test_one_bad_file_of_several_changes_nothing_and_is_named(
    name: str, form: str, world: World, bank: Path, tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.enrollment", tmp_path / "bad.enrollment"
    good.write_bytes(world.enrollments[0])
    content = BAD[name](world)
    if content is not None:
        bad.write_bytes(content)
    before = state_of(bank)
    for order in ([good, bad], [bad, good]):
        asked = ["bank", "add", *order, "--db", form.format(bank), "--account", "ada"]
        result = CliRunner().invoke(app, ["filter", *map(str, asked)])
        assert isinstance(result.exception, SfumatoError), result.exception
        assert str(bad) in str(result.exception)
        assert str(good) not in str(result.exception)
        assert state_of(bank) == before


@pytest.mark.parametrize("name", [name for name in BAD if name != "somebody else's"])
def test_one_bad_file_of_several_makes_no_bank(name: str, world: World, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.enrollment", tmp_path / "bad.enrollment"
    good.write_bytes(world.enrollments[0])
    content = BAD[name](world)
    if content is not None:
        bad.write_bytes(content)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(SfumatoError, match=r"bad\.enrollment"):
        add_files(str(tmp_path / "new.db"), [good, bad], "ada")
    assert sorted(tmp_path.iterdir()) == before


def test_a_name_that_no_account_may_have_makes_no_bank(world: World, tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(world.enrollments[0])
    with pytest.raises(InputError, match="expected a name"):
        add_files(str(tmp_path / "new.db"), [tmp_path / "good"], "no name")
    added = CliRunner().invoke(
        app, ["filter", "user", "add", "no name", "--db", f"{tmp_path}/n.db"]
    )
    assert isinstance(added.exception, InputError)
    assert [path.name for path in tmp_path.iterdir()] == ["good"]


def test_several_good_files_are_added_in_their_order(world: World, bank: Path) -> None:
    files = [bank.parent / str(digit) for digit in (1, 0)]
    for file in files:
        file.write_bytes(world.enrollments[int(file.name)])
    added = add_files(str(bank), files, "ada")
    assert [entry.id for entry in added] == [
        open_enrollment(world.enrollments[digit]).id for digit in (1, 0)
    ]


@pytest.mark.parametrize("dim", [64, 16])
def test_a_policy_of_another_backbone_screens_nothing(
    dim: int, world: World, bank: Path, tmp_path: Path
) -> None:
    side = {64: "gradients:1x8x8", 16: "raw:1x4x4"}[dim]
    other = open_backbone(side)
    cohort = torch.rand(200, other.dim, generator=torch.Generator().manual_seed(0))
    policy = Policy(cohort=cohort, dimension=8.0, false_blocks=0.05, contested=0.9)
    stored = other.with_policy(policy).to_stored()
    file = tmp_path / "mine"
    file.write_bytes(world.enrollments[0])
    before = state_of(bank)
    with pytest.raises(BankError, match="`backbone` to be"):
        add_files(str(bank), [file], "ada", backbone=stored)
    assert state_of(bank) == before
    with pytest.raises(BankError, match="`backbone` to be"):
        add_files(str(tmp_path / "new.db"), [file], "ada", backbone=stored)
    assert not (tmp_path / "new.db").exists()
    # A copy of Bob's waits for a moderator, who names the wrong file too.
    file.write_bytes(world.copy(6))
    (waiting,) = add_files(str(bank), [file], "eve")
    assert waiting.status == "quarantined"
    before = state_of(bank)
    with opened(str(bank)) as store, pytest.raises(BankError, match="`backbone` to be"):
        admit(store, waiting.id, backbone=stored)
    assert state_of(bank) == before
    remove(str(bank), waiting.id)
