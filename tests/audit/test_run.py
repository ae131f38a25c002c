from __future__ import annotations

import inspect
import json
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import jsonschema
import pytest
import torch
from PIL import Image
from torch import Tensor

from sfumato.attack.attributes import AttributeAttack
from sfumato.attack.reconstruct import ReconstructionAttack
from sfumato.attack.reidentify import ReidentificationAttack
from sfumato.attack.tools.decoder import ReconstructionConfig
from sfumato.attack.tools.learners import LearnerConfig
from sfumato.attack.verify import VerificationAttack
from sfumato.audit import Report, read_report
from sfumato.audit.attacks import Setting, open_attack
from sfumato.audit.protectors import open_protector
from sfumato.audit.report.gate import gate_cases
from sfumato.audit.report.schema import report_schema
from sfumato.audit.run import audit, prepare
from sfumato.data.imageset import ImageSet
from sfumato.data.sources import load
from sfumato.data.splits import split_groups, split_images
from sfumato.errors import ConfigError, DataError
from sfumato.protect.baselines import Blur, Noise, Unprotected
from sfumato.types import Attack, Finding, Knowledge, Protector, Releases

_QUICK = LearnerConfig(
    learners=("perceptron", "trees"), epochs=15, restarts=1, batch_size=32, device="cpu"
)


@dataclass(frozen=True)
class Grey(Protector):
    """A perfect protector: the same release for everyone."""

    name: str = "grey"

    def release(self, images: Tensor) -> Tensor:
        return torch.full_like(images, 0.5)


@dataclass(frozen=True)
class Broken(Protector):
    name: str = "broken"

    def release(self, images: Tensor) -> Tensor:
        raise RuntimeError("no such layer")


class Counting(Attack):
    """An attack that counts how often it was run."""

    name = "counting"
    runs = 0

    def run(self, victim: Releases, knowledge: Knowledge) -> Finding:
        type(self).runs += 1
        return Finding(
            attack=self.name,
            protector=victim.protector,
            metric="count",
            value=1.0,
            floor=0.0,
            ceiling=1.0,
            interval=(1.0, 1.0),
            seeds=(0,),
        )


def _audit(blobs: ImageSet, protectors: list[object], **settings: object) -> Report:
    adversary, victims = split_images(blobs, [0.6, 0.4], seed=0)
    arguments = {"private": "mood", "attacks": (), "config": _QUICK, **settings}
    return audit(protectors, victims=victims, adversary=adversary, **arguments)  # type: ignore[arg-type]


def _by_name(report: Report) -> dict[tuple[str, str], Finding]:
    return {(c.protector, c.attack): c.finding for c in report.cells if c.finding is not None}


def test_protection_and_utility_are_told_apart(blobs: ImageSet) -> None:
    report = _audit(blobs, [Unprotected(), Grey()], utility="person")
    found = _by_name(report)
    assert found["none", "attributes:mood"].leakage == 1
    assert found["grey", "attributes:mood"].value == 0.5
    assert found["grey", "attributes:mood"].leakage == 0
    assert found["grey", "attributes:mood"].ceiling == found["none", "attributes:mood"].value
    assert found["grey", "utility:person"].leakage == pytest.approx(0, abs=1e-6)
    assert found["none", "attributes:mood"].value > 0.75


def test_a_value_is_the_same_on_both_sides_by_its_name(blobs: ImageSet) -> None:
    adversary, victims = split_images(blobs, [0.6, 0.4], seed=0)
    turned = replace(
        adversary,
        labels={**adversary.labels, "mood": 1 - adversary.label("mood")},
        classes={**adversary.classes, "mood": adversary.classes["mood"][::-1]},
    )
    config = replace(_QUICK, learners=("trees",))
    found = [
        _by_name(
            audit([Unprotected()], victims=victims, adversary=side, private="mood", attacks=(),
                  config=config)
        )["none", "attributes:mood"].value
        for side in (adversary, turned)
    ]  # fmt: skip
    assert found[0] > 0.75
    assert found[1] > 0.75


def test_a_failed_cell_is_named_and_the_others_go_on(blobs: ImageSet) -> None:
    report = _audit(blobs, [Broken(), Grey()])
    assert {(cell.protector, cell.error) for cell in report.failed} == {
        ("broken", "RuntimeError: no such layer")
    }
    assert ("grey", "attributes:mood") in _by_name(report)


def test_cells_are_kept_by_content(blobs: ImageSet, tmp_path: Path) -> None:
    Counting.runs = 0
    attack = Counting()

    def again(protector: object, images: ImageSet = blobs) -> None:
        _audit(images, [protector], private=(), attacks=[attack], out=tmp_path)

    again(Blur(2.0))
    assert Counting.runs == 2  # the blur, and none for its ceiling
    again(Blur(2.0))
    assert Counting.runs == 2
    again(Blur(3.0))
    assert Counting.runs == 3
    again(Blur(3.0), replace(blobs, images=255 - blobs.images))
    assert Counting.runs == 5
    for cell in (tmp_path / "cells").iterdir():
        cell.write_text('{"key": "of something else"}')
    again(Blur(2.0))
    assert Counting.runs == 7


def test_a_resumed_audit_says_what_an_uninterrupted_one_does(
    blobs: ImageSet, tmp_path: Path
) -> None:
    whole = _audit(blobs, [Noise(0.3), Blur(1.0)])
    _audit(blobs, [Noise(0.3)], out=tmp_path)
    resumed = _audit(blobs, [Noise(0.3), Blur(1.0)], out=tmp_path)
    assert _by_name(whole) == _by_name(resumed)


@pytest.mark.slow
def test_the_adversary_may_not_have_the_victims_own(blobs: ImageSet) -> None:
    half, rest = split_images(blobs, [0.5, 0.5], seed=0)
    with pytest.raises(DataError, match="victims' own"):
        audit([Grey()], victims=half, adversary=blobs, private="mood", config=_QUICK)
    bare = replace(blobs, files=())
    with pytest.raises(DataError, match="victims' own"):
        audit([Grey()], victims=half, adversary=bare, private="mood", config=_QUICK)
    with pytest.raises(DataError, match="victims' own"):
        audit([Grey()], victims=half, adversary=rest, private="mood", identity="person")
    people, others = split_groups(blobs, "person", [0.4, 0.6], seed=0)
    report = audit(
        [Grey()], victims=people, adversary=others, private="mood", identity="person", config=_QUICK
    )
    assert report.data.disjoint == "no person is on both sides"


@dataclass(frozen=True)
class Tag(Protector):
    """Releases nothing of a picture but who is on it."""

    name: str = "tag"

    def release(self, images: Tensor) -> Tensor:
        return images[:, 0, 0, :4].contiguous()


def _tagged(people: int, each: int) -> ImageSet:
    generator = torch.Generator().manual_seed(0)
    who = torch.arange(people).repeat_interleave(each)
    pictures = torch.randint(0, 64, (len(who), 1, 8, 8), generator=generator)
    pictures[:, 0, :4] = torch.randint(0, 256, (people, 4, 8), generator=generator)[who]
    return ImageSet(
        name="tagged",
        images=pictures.to(torch.uint8),
        labels={"who": who},
        classes={"who": tuple(map(str, range(people)))},
    )


def test_people_to_be_hidden_are_matched_where_none_is_on_both_sides() -> None:
    """Nobody can be named then, and an audit that left it at that passed what gives people away."""
    victims, adversary = split_groups(_tagged(16, 4), "who", [0.5, 0.5], seed=0)

    def audited(*attacks: Attack) -> Report:
        return audit(
            [Tag()], victims=victims, adversary=adversary, private="who", identity="who",
            attacks=attacks, config=replace(_QUICK, epochs=2),
        )  # fmt: skip

    report = audited()
    found = _by_name(report)
    assert found["tag", "verify"].value > 0.95
    (failed,) = (c for c in gate_cases(report.cells, 0.3) if c.attack == "verify")
    assert failed.outcome == "failure"
    assert "attributes:who" not in {cell.attack for cell in report.cells}
    twice = prepare(
        [Tag()], victims=victims, adversary=adversary, private="who", identity="who",
        attacks=[VerificationAttack(identity="who", seeds=(7,))],
    )  # fmt: skip
    assert [a.seeds for a in twice.attacks if isinstance(a, VerificationAttack)] == [(7,)]


@pytest.fixture
def same_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and nonces of every run are the same: of eighty guesses some runs have many right."""
    drawn = random.Random(0)
    monkeypatch.setattr(secrets, "token_bytes", drawn.randbytes)
    monkeypatch.setattr(secrets, "SystemRandom", lambda: drawn)


@pytest.mark.usefixtures("same_secrets")
def test_a_keyed_protector_is_attacked_in_both_ways(blobs: ImageSet) -> None:
    report = _audit(blobs, [open_protector("sealed:raw", blobs)])
    found = _by_name(report)
    assert set(found) == {
        ("sealed:raw:1x8x8", "attributes:mood"),
        ("sealed:raw:1x8x8", "attributes:mood (trained on plain)"),
    }
    assert [c.reason for c in report.cells if c.finding is None] == [
        "this release is no picture to compare",
        "this release is no picture to look at",
    ]
    for finding in found.values():
        assert finding.ceiling > 0.75
        assert finding.value < 0.68


def test_a_perfect_protector_stops_every_attack(blobs: ImageSet) -> None:
    attacks = [
        ReidentificationAttack(identity="person", config=_QUICK),
        ReconstructionAttack(config=ReconstructionConfig(epochs=2, width=4, device="cpu")),
    ]
    report = _audit(blobs, [Grey()], attacks=attacks)
    assert not report.failed
    for finding in _by_name(report).values():
        assert finding.leakage < 0.1


@pytest.mark.slow
@pytest.mark.usefixtures("same_secrets")
def test_bit_counts_survive_shuffling_and_not_sealing(blobs: ImageSet) -> None:
    protectors = [open_protector(f"{cipher}:raw", blobs) for cipher in ("shufflebits", "sealed")]
    counting = open_attack("popcounts:mood", Setting(seeds=(0,), config=_QUICK))
    report = _audit(blobs, [Unprotected(), *protectors], private=(), attacks=[counting])
    assert not report.failed
    found = _by_name(report)
    assert found["shufflebits:raw:1x8x8", "popcounts:mood"].leakage > 0.5
    assert found["sealed:raw:1x8x8", "popcounts:mood"].leakage < 0.4
    assert ("none", "popcounts:mood") not in found
    # What reads bit counts is held against what reads the numbers themselves.
    assert found["sealed:raw:1x8x8", "popcounts:mood"].ceiling > 0.75


@pytest.mark.slow
@pytest.mark.usefixtures("same_secrets")
def test_the_bits_of_features_are_put_back_and_those_of_an_envelope_are_not() -> None:
    adversary, victims = split_images(load("digits", count=130), [0.9, 0.1], seed=0)
    protectors = [
        open_protector(f"{cipher}:gradients:1x8x8", adversary)
        for cipher in ("features", "shufflebits", "sealed")
    ]
    bits = open_attack("bitstatistics", Setting(seeds=(0,), config=_QUICK))
    report = audit(
        protectors, victims=victims, adversary=adversary, private=(), attacks=[bits], config=_QUICK
    )
    cells = {c.protector.partition(":")[0]: c for c in report.cells if c.attack == "bitstatistics"}
    assert "not encrypted" in str(cells["features"].reason)
    assert cells["shufflebits"].finding is not None
    assert cells["shufflebits"].finding.leakage > 0.8
    assert cells["sealed"].finding is not None
    assert cells["sealed"].evidence is not None
    assert not cells["sealed"].evidence.shown
    assert cells["sealed"].finding.ceiling == cells["shufflebits"].finding.value


def test_pictures_are_drawn_on_request_and_then_again_from_kept_cells(
    blobs: ImageSet, tmp_path: Path
) -> None:
    decoder = ReconstructionConfig(epochs=1, width=4, restarts=1, device="cpu")

    def drawn(sheets: Path | None) -> Report:
        attack = ReconstructionAttack(config=decoder, metric="ssim", sheets=sheets)
        made = _audit(
            blobs, [Blur(2.0)], private=(), attacks=[attack], out=tmp_path,
            pictures=sheets is not None,
        )  # fmt: skip
        made.write(tmp_path)
        return made

    assert drawn(None).pictures == ()
    assert '<img src="data:image/png' not in (tmp_path / "report.html").read_text()
    report = drawn(tmp_path / "pictures")
    assert [sheet.rows[1] for sheet in report.pictures] == ["released", "redrawn"]
    for sheet in report.pictures:
        with Image.open(tmp_path / "pictures" / sheet.file) as picture:
            assert picture.height == len(sheet.rows) * 70 + 6  # 64 pixels, 6 between
    assert (tmp_path / "report.html").read_text().count('<img src="data:image/png') == 2
    with pytest.raises(ConfigError, match="out"):
        _audit(blobs, [Grey()], pictures=True)


def test_people_must_be_named_to_be_matched(blobs: ImageSet) -> None:
    with pytest.raises(ConfigError, match="`identity`"):
        _audit(blobs, [Grey()], matching=True)


def test_a_report_is_whole_json_and_one_page(blobs: ImageSet, tmp_path: Path) -> None:
    report = _audit(blobs, [Grey(), Broken()], utility="person")
    path = report.write(tmp_path)
    assert read_report(path) == report
    jsonschema.validate(json.loads(path.read_text()), report_schema())
    json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(name))
    page = (tmp_path / "report.html").read_text()
    assert "grey" in page
    assert "no such layer" in page
    assert not (tmp_path / "pictures").exists()


def test_nothing_to_do_is_an_error(blobs: ImageSet) -> None:
    with pytest.raises(ConfigError, match="protector"):
        _audit(blobs, [])
    with pytest.raises(ConfigError, match="private"):
        _audit(blobs, [Grey()], private=())


def test_attribute_attacks_differ_by_their_settings_in_the_cache() -> None:
    from sfumato.fingerprint import fingerprint

    one, two = (AttributeAttack(attributes=("mood",), seeds=seeds) for seeds in ((0,), (0, 1)))
    assert fingerprint(one) != fingerprint(two)
    assert fingerprint(one) == fingerprint(AttributeAttack(attributes=("mood",)))
    nets = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        nets.append(torch.nn.Linear(3, 3))
    assert fingerprint(nets[0]) == fingerprint(nets[1]) != fingerprint(nets[2])
    maps = [ReconstructionAttack(perceptual=_through(net)) for net in nets]
    assert fingerprint(maps[0]) == fingerprint(maps[1]) != fingerprint(maps[2])
    assert fingerprint(ReconstructionAttack()) == fingerprint(
        ReconstructionAttack(sheets=Path("elsewhere"))
    )


def _through(net: torch.nn.Module) -> Callable[[Tensor], Tensor]:
    return lambda images: net(images)


def test_a_label_cannot_be_hidden_and_stay_readable(blobs: ImageSet) -> None:
    with pytest.raises(ConfigError, match="`private` and `utility` are both 'mood'"):
        _audit(blobs, [Unprotected()], utility=("person", "mood"))


def test_preparing_takes_what_an_audit_takes() -> None:
    whole, checked = (dict(inspect.signature(f).parameters) for f in (audit, prepare))
    del whole["executor"]
    assert whole == checked
