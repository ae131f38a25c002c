"""Every attack trains, validates and scores on the device it is told, and answers on the CPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sfumato.attack.attributes import AttributeAttack
from sfumato.attack.copies import CopiesAttack
from sfumato.attack.groups import GroupAttack
from sfumato.attack.linkage import LinkageAttack
from sfumato.attack.membership import MEMBER, MembershipAttack
from sfumato.attack.on_cipher.bitstatistics import BitStatistics
from sfumato.attack.on_filter.attacker import AttackerConfig
from sfumato.attack.on_filter.enrollment_leak import Evidence, enrollment_leak
from sfumato.attack.on_filter.poison import Setting, all_attackers, all_pairs, poison
from sfumato.attack.reconstruct import ReconstructionAttack
from sfumato.attack.reidentify import ReidentificationAttack
from sfumato.attack.tools.decoder import ReconstructionConfig
from sfumato.attack.tools.learners import LearnerConfig
from sfumato.attack.verify import VerificationAttack
from sfumato.cipher.permutation import draw_key
from sfumato.cipher.shufflebits import shuffle_bits
from sfumato.data.imageset import ImageSet
from sfumato.data.sources import load
from sfumato.device import device_of, resolve_device
from sfumato.filter.enrolled import enroll_all
from sfumato.filter.oneclass import OneClassConfig
from sfumato.protect.obfuscator.model import Obfuscator
from sfumato.types import Attack, Knowledge, Releases


@dataclass(frozen=True)
class World:
    """Maps that are made on the card, pictures, and both parties' own."""

    card: str
    made: Obfuscator
    own: ImageSet
    victims: ImageSet

    def knowledge(self, query: Any = None) -> Knowledge:
        return Knowledge(
            images=self.own.floats(),
            labels=self.own.labels,
            query=query or self.made.release,
        )

    def victim(self, query: Any = None) -> Releases:
        images = self.victims.floats()
        return Releases(
            protector="made",
            tensor=(query or self.made.release)(images),
            images=images,
            labels=self.victims.labels,
        )


@pytest.fixture
def world(card: str) -> World:
    faces = load("characters:8", count=160, size=32)
    faces = ImageSet(
        name=faces.name,
        images=faces.images,
        labels=faces.labels | {MEMBER: torch.arange(160) % 2},
        classes=dict(faces.classes) | {MEMBER: ("stranger", "member")},
    )
    made = Obfuscator(
        channels=3, height=32, width=32, utility="expression",
        classes=list(faces.classes["expression"]), scale=0.07, map_channels=3, cut=6, noise=0.1,
    )  # fmt: skip
    made.to(resolve_device(card)).eval()
    return World(card, made, faces.subset(range(100)), faces.subset(range(100, 160)))


def _learners(world: World, *learners: str) -> LearnerConfig:
    return LearnerConfig(
        learners=learners or ("conv", "perceptron"),  # type: ignore[arg-type]
        restarts=1, epochs=2, patience=1, batch_size=32, device=world.card,
    )  # fmt: skip


def _runs(attack: Attack, world: World, query: Any = None) -> None:
    finding = attack.run(world.victim(query), world.knowledge(query))
    low, high = finding.interval
    assert low <= finding.value <= high


@pytest.mark.parametrize("learner", ["probe", "perceptron", "conv", "trees"])
@pytest.mark.parametrize("known", [(), ("expression",)])
def test_reading_a_label(world: World, learner: str, known: tuple[str, ...]) -> None:
    config = _learners(world, learner)
    _runs(AttributeAttack(attributes=("glasses",), known=known, config=config), world)


@pytest.mark.parametrize("known", [(), ("expression",)])
def test_reading_a_label_off_groups(world: World, known: tuple[str, ...]) -> None:
    _runs(GroupAttack(label="glasses", size=3, known=known, config=_learners(world)), world)


def test_linkage(world: World) -> None:
    _runs(LinkageAttack(label="identity", config=_learners(world)), world)


def test_verification(world: World) -> None:
    _runs(VerificationAttack(identity="identity", config=_learners(world)), world)


def test_reidentification(world: World) -> None:
    _runs(ReidentificationAttack(identity="identity", config=_learners(world)), world)


def test_membership(world: World) -> None:
    attack = MembershipAttack(classify=world.made.logits, config=_learners(world))
    _runs(attack, world)


@pytest.mark.parametrize("network", ["generator", "simrec", "urec1", "urec2", "resrec"])
def test_reconstruction_from_maps(world: World, network: Any) -> None:
    config = ReconstructionConfig(
        networks=(network,), epochs=1, width=4, scale=0.07, batch_size=32, restarts=1,
        device=world.card,
    )  # fmt: skip
    _runs(ReconstructionAttack(config=config, label="expression", metric="psnr"), world)


def _seen(images: Tensor) -> Tensor:
    """A network of somebody else: its feature maps say how alike two pictures are."""
    return nn.functional.avg_pool2d(images, 4)


class _Provider(nn.Module):
    """Features from the card."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Linear(3 * 32 * 32, 24)

    @torch.no_grad()
    def release(self, images: Tensor) -> Tensor:
        found: Tensor = self.layers(images.flatten(1).to(device_of(self))).sigmoid()
        return found


def test_reconstruction_from_features_that_stay_on_the_card(world: World) -> None:
    provider = _Provider().to(resolve_device(world.card))
    config = ReconstructionConfig(
        epochs=1, width=4, batch_size=32, feature=0.1, adversarial=0.1, device=world.card
    )
    attack = ReconstructionAttack(config=config, perceptual=_seen, identity="identity")
    _runs(attack, world, lambda images: provider.release(images).cpu())


def test_copies(world: World) -> None:
    _runs(CopiesAttack(), world, lambda images: images)


def test_the_statistics_of_bits(world: World) -> None:
    provider = _Provider().to(resolve_device(world.card))
    key = draw_key(32)

    def query(images: Tensor) -> Tensor:
        return shuffle_bits(provider.release(images).cpu(), key)

    attack = BitStatistics(seed=0)
    victim = world.victim(query)
    knowledge = Knowledge(
        images=world.own.floats(), labels={}, query=query, query_plain=provider.release
    )
    assert attack.run(victim, knowledge).value > 0


def test_reading_a_label_off_few_different_releases(world: World) -> None:
    attack = AttributeAttack(attributes=("glasses",), config=_learners(world, "table"))
    _runs(attack, world, lambda images: nn.functional.avg_pool2d(images, 32).round())


_TRAINING = OneClassConfig.preset("plain", hidden=4, epochs=2, least_steps=4, batch_size=16)


@pytest.mark.parametrize("kind", [{}, {"evasion": 1.0}, {"mode": "separate", "share": 0.5}])
def test_adversaries_of_the_filter(card: str, kind: dict[str, Any]) -> None:
    rows = list(load("digits").floats()[:90].flatten(1).split(30))
    train, tests = [x[:20] for x in rows], [x[20:] for x in rows]
    users = enroll_all(train, _TRAINING, folds=2, seed=0, device=card)
    attackers = all_attackers(
        users, train, all_pairs(3), AttackerConfig(**kind), _TRAINING, seed=0, device=card
    )
    found = poison(users, tests, all_pairs(3), [attackers], Setting(), seed=0)
    assert 0 <= found.value <= 1
    truth = Evidence(members=train, public=torch.cat(tests))
    assert len(enrollment_leak(users, truth, count=8, seed=0)) == 4
