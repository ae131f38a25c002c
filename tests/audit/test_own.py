"""A protector and an attack of somebody's own, with two members each, get all that ours get."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from sfumato.attack.tools.learners import LearnerConfig
from sfumato.audit import Report, audit, sides
from sfumato.audit.measure.cells import PLAIN
from sfumato.audit.measure.contracts import check_contracts
from sfumato.data.imageset import ImageSet
from sfumato.errors import ConfigError
from sfumato.types import Attack, Finding, KeyedProtector, Knowledge, Protector, Releases

_QUICK = LearnerConfig(learners=("probe",), epochs=1, restarts=1)


class Half(Protector):
    name = "half"

    def release(self, images: Tensor) -> Tensor:
        return images / 2


class Masked(KeyedProtector):
    """A one-time pad over 16 bits of each pixel."""

    name = "masked"

    def plain(self, images: Tensor) -> Tensor:
        return images.half()

    def release(self, images: Tensor) -> Tensor:
        words = self.plain(images).view(torch.int16)
        return words ^ torch.randint(-(2**15), 2**15, words.shape, dtype=torch.int16)


class Seen(Attack):
    """Finds out on what it was trained, and as what it reads the victims' releases."""

    name = "seen"

    def run(self, victim: Releases, knowledge: Knowledge) -> Finding:
        own = knowledge.query(knowledge.images)
        plain = own.is_floating_point() and torch.equal(
            own.float(), knowledge.images.half().float()
        )
        return Finding(
            attack=self.name,
            protector=victim.protector,
            metric="trained on plain, reads floats",
            value=float(plain) + float(victim.tensor.is_floating_point()),
            floor=0.0,
            ceiling=1.0,
            interval=(0.0, 2.0),
            seeds=(0,),
        )


def _audited(images: ImageSet, protectors: list[Protector], attacks: list[Attack]) -> Report:
    victims, adversary = sides(images)
    return audit(
        protectors, victims=victims, adversary=adversary, private=(), attacks=attacks, config=_QUICK
    )


def test_an_attack_with_two_members_is_run_on_releases_and_on_what_is_inside(
    blobs: ImageSet,
) -> None:
    report = _audited(blobs, [Half(), Masked()], [Seen()])
    assert not report.failed
    found = {(c.protector, c.attack): c.finding for c in report.cells if c.finding is not None}
    assert found["half", "seen"].value == 1  # floats, and none of its own pictures in the clear
    assert found["masked", "seen"].value == 0
    assert found["masked", "seen" + PLAIN].value == 2
    assert found["masked", "seen"].ceiling == 2  # of what is inside, as it is
    assert ("half", "seen" + PLAIN) not in found


def test_what_is_declared_has_its_defaults(blobs: ImageSet, tmp_path: Path) -> None:
    half, seen = Half(), Seen()
    assert (half.private, half.overhead_bytes, half.guarantee.originals) == ((), 0, "")
    assert seen.unfit(*_both(half, blobs)) is None
    assert (seen.reads(), seen.sheet("half"), seen.unprotected()) == ((), None, seen)
    report = _audited(blobs, [half], [seen])
    report.write(tmp_path)
    assert (tmp_path / "report.html").is_file()
    assert report.settings.keyed == ()


def _both(protector: Protector, images: ImageSet) -> tuple[Releases, Knowledge]:
    return Releases.of(protector, images), Knowledge.of(protector, images)


def test_the_request_is_as_large_as_it_is_said(blobs: ImageSet) -> None:
    sizes = []

    class Counting(Protector):
        name = "counting"

        def release(self, images: Tensor) -> Tensor:
            sizes.append(len(images))
            return images

    found = Releases.of(Counting(), blobs.subset(range(5)), at_once=2)
    assert sizes == [2, 2, 1]
    assert torch.equal(found.tensor, found.images)


def test_whoever_subclasses_neither_is_told_what_to_do() -> None:
    class Lookalike:
        name = "lookalike"

        def release(self, images: Tensor) -> Tensor:
            return images

    check_contracts([Half()], [Seen()])
    with pytest.raises(ConfigError, match=r"subclass sfumato.Protector, with `name` and `release`"):
        check_contracts([Half(), Lookalike()], [])
    with pytest.raises(ConfigError, match=r"Half is no Attack: subclass sfumato.Attack"):
        check_contracts([], [Half()])
