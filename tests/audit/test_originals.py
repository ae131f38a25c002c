"""A protector that releases originals fails, and what no attacker could read is not measurable."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from sfumato.attack.tools.learners import LearnerConfig
from sfumato.audit import Report
from sfumato.audit.attacks import Setting, default_attacks
from sfumato.audit.measure.disjoint import sides
from sfumato.audit.report.card import write_cards
from sfumato.audit.report.gate import check, gate_cases
from sfumato.audit.run import audit
from sfumato.cli.audit import table
from sfumato.data.imageset import ImageSet
from sfumato.errors import DataError, GateError
from sfumato.protect.anonymizer.model import Anonymizer
from sfumato.protect.baselines import KSame
from sfumato.protect.pretrained import CARD
from sfumato.protect.prototypes.model import PrototypeAnonymizer
from sfumato.types import Guarantee, Protector

_WEAK = LearnerConfig(learners=("probe",), epochs=4, restarts=1, batch_size=32, device="cpu")


@dataclass(frozen=True)
class Dealt(Protector):
    """Prototypes that are single pictures: each release is the nearest of a few originals."""

    originals: Tensor = field(repr=False)
    name: str = "dealt"

    def release(self, images: Tensor) -> Tensor:
        near = torch.cdist(images.flatten(1), self.originals.flatten(1)).argmin(1)
        return self.originals[near]


def _audited(images: ImageSet, *protectors: Protector, private: str = "mood") -> Report:
    victims, adversary = sides(images)
    return audit(
        protectors,
        victims=victims,
        adversary=adversary,
        private=private,
        attacks=(),
        config=_WEAK,
    )


def test_a_release_of_originals_fails_and_is_the_first_sentence(blobs: ImageSet) -> None:
    victims, adversary = sides(blobs)
    theirs, own = victims.floats()[:16], adversary.floats()
    means = KSame(10, own)
    report = _audited(blobs, Dealt(theirs), Dealt(own[:16], name="mine"), means)
    first = "dealt: 100 of 100 releases are originals. mine: 100 of 100 releases are originals."
    assert table(report).startswith(f"{first}\n")
    document = report.document()
    assert list(document)[:2] == ["schema", "originals"]
    assert document["originals"] == first
    assert [v["originals"] for v in document["verdicts"]] == [100, 100, 0]
    with pytest.raises(GateError, match="dealt under copies: 100 of 100 releases are originals"):
        check(gate_cases(report.cells, 1e6), 1e6)
    fine = [cell for cell in report.cells if cell.protector == means.name]
    (case,) = (case for case in gate_cases(fine, 0.2) if case.attack == "copies")
    assert case.outcome == "passed"


def test_where_nobody_reads_unprotected_pictures_nothing_is_measurable(blobs: ImageSet) -> None:
    """A label dealt out at random: the attacker of originals guesses too."""
    generator = torch.Generator().manual_seed(1)
    dealt = torch.randint(2, (len(blobs),), generator=generator)
    images = replace(
        blobs,
        labels={**blobs.labels, "coin": dealt},
        classes={**blobs.classes, "coin": ("heads", "tails")},
    )
    report = _audited(images, KSame(10, sides(images)[1].floats()), private="coin")
    (cell,) = (cell for cell in report.cells if cell.attack == "attributes:coin")
    assert cell.evidence is not None
    assert cell.evidence.why.startswith("not measurable: even without protection")
    (said,) = report.document()["verdicts"]
    assert said["sentence"].startswith("Not shown to be safe")
    assert said["sentence"].endswith("Not measurable: reading coin.")
    with pytest.raises(GateError, match=r"ksame:10 under attributes:coin: not measurable"):
        check(gate_cases(report.cells, 1e6), 1e6)


def test_real_pictures_on_purpose_are_called_so_in_card_and_report(tmp_path: Path) -> None:
    images = torch.randint(0, 255, (60, 1, 8, 8), dtype=torch.uint8)
    people = torch.arange(60) % 3
    world = ImageSet(
        name="noise", images=images, labels={"person": people}, classes={"person": tuple("abc")}
    )
    shape = {"channels": 1, "height": 8, "width": 8}
    made = PrototypeAnonymizer(**shape, hides="person", prototypes=4, features=4, dim=8, target="b")
    made.pictures.copy_(images[:4] / 255)
    folder = tmp_path / "made"
    made.save_pretrained(folder)
    purpose = "its releases are real pictures of person 'b'"
    assert f"**Releases originals on purpose:** {purpose}." in (folder / CARD).read_text()
    report = _audited(world, made, private="person")
    first = f"30 of 30 releases are originals, on purpose: {purpose}."
    assert report.document()["originals"] == f"{made.name}: {first}"
    write_cards({str(folder): made}, report)
    said = (folder / CARD).read_text()
    assert purpose in said.split("## Audit")[0]
    assert said.split("## Audit")[1].strip().startswith(first)
    plain = Anonymizer(**shape, hides="person", lam=1.0, features=4, target="b")
    assert plain.guarantee == Guarantee()
    assert plain.substituted(images[:2] / 255).guarantee.originals == purpose


class Promising(PrototypeAnonymizer):
    kind: ClassVar[str] = "prototypes"

    @property
    def guarantee(self) -> Guarantee:
        return Guarantee(figures={"pictures behind a release, at least": 10.0})


def test_a_guarantee_is_shown_in_card_report_and_json(blobs: ImageSet, tmp_path: Path) -> None:
    made = Promising(channels=1, height=8, width=8, hides="mood", prototypes=2, features=4, dim=8)
    made.save_pretrained(tmp_path / "made")
    report = _audited(blobs, made)
    report.write(tmp_path)
    write_cards({str(tmp_path / "made"): made}, report)
    for text in ((tmp_path / "made" / CARD).read_text(), (tmp_path / "report.html").read_text()):
        assert "pictures behind a release, at least" in text
    assert "| pictures behind a release, at least | 10 |" in (tmp_path / "made" / CARD).read_text()
    assert report.document()["guarantees"][made.name]["figures"] == {
        "pictures behind a release, at least": 10.0
    }


def test_what_runs_by_default(blobs: ImageSet) -> None:
    setting = Setting(seeds=(0,), config=LearnerConfig())
    names = [attack.name for attack in default_attacks(["mood", "person"], setting)]
    assert names == [
        "reconstruct",
        *("linkage:mood", "groups:mood"),
        *("linkage:person", "groups:person"),
        "membership",
    ]
    assert {"trees", "table"} <= set(LearnerConfig().learners)
    victims, adversary = sides(blobs)
    report = audit(
        [KSame(10, adversary.floats())],
        victims=victims,
        adversary=adversary,
        private="mood",
        utility="person",
        config=replace(_WEAK, epochs=1),
    )
    assert not report.failed
    ran = [cell.attack for cell in report.cells if cell.finding is not None]
    private = ["attributes:mood", "reconstruct", "linkage:mood", "knowing:mood", "groups:mood"]
    assert ran == ["copies", *private, "utility:person", "quality"]
    assert report.settings.attacks == ("copies", *private, "membership")


@pytest.mark.parametrize(
    ("private", "match"),
    [
        ("identity", r"has no label 'identity'; it has: mood, one, person"),
        ("one", r"'one' needs two values at least .* got 1 among 100 images; its labels are: mood"),
    ],
)
def test_a_label_that_cannot_be_read_ends_an_audit_before_it_begins(
    blobs: ImageSet, private: str, match: str
) -> None:
    images = replace(
        blobs,
        labels={**blobs.labels, "one": torch.zeros(len(blobs), dtype=torch.int64)},
        classes={**blobs.classes, "one": ("a",)},
    )
    victims, adversary = sides(images)

    class Unasked(Protector):
        name = "unasked"

        def release(self, images: Tensor) -> Tensor:
            pytest.fail("released before the labels were looked at")

    for role in ("private", "utility"):
        given = {"private": "mood", role: private}
        with pytest.raises(DataError, match=match):
            audit([Unasked()], victims=victims, adversary=adversary, **given)
