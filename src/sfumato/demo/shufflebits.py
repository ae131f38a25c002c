"""The encrypted features' part of the demo: what embeddings leak, and what stops it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.attack.attributes import AttributeAttack
from sfumato.attack.on_cipher.bitstatistics import BitStatistics
from sfumato.attack.reconstruct import ReconstructionAttack
from sfumato.attack.tools.decoder import ReconstructionConfig
from sfumato.attack.tools.learners import LearnerConfig, train_namer
from sfumato.attack.tools.read import inside
from sfumato.data.imageset import ImageSet
from sfumato.data.pixels import as_uint8
from sfumato.data.sheet import contact_sheet
from sfumato.data.sources import load
from sfumato.data.splits import split_images
from sfumato.demo.section import Advance, Figure, Picture, Section
from sfumato.features.backbone import Backbone
from sfumato.features.preprocess import Preprocess
from sfumato.nets.classifiers import ConvClassifier
from sfumato.protect.encrypted import EncryptedFeatures, Features
from sfumato.types import Knowledge, Protector, Releases

STEPS = 4

_SHARES = (0.3, 0.45, 0.25)  # provider, adversary, victims: none has another's pictures
_EPOCHS = 8
_LEARNER = LearnerConfig(learners=("perceptron",), restarts=1, epochs=20, device="cpu")
_DRAWER = ReconstructionConfig(epochs=25, width=16, most_validated=64, device="cpu")
_SHOWN = 10
_BROKEN = 6  # responses that the attack on the cipher recovers
_CHANCE = 0.1


@dataclass(frozen=True, slots=True)
class _World:
    adversary: ImageSet
    victims: ImageSet
    releases: dict[str, Protector]

    def knowledge(self) -> Knowledge:
        return Knowledge.of(self.releases["shufflebits"], self.adversary)

    def intercepted(self, how: str, count: int | None = None) -> Releases:
        """Each picture is a request of its own, and so has a key of its own."""
        victims = self.victims.subset(range(count or len(self.victims)))
        return Releases.of(self.releases[how], victims, at_once=1)

    def read(self, how: str, count: int | None = None) -> Releases:
        """The same as one reads it who learned on features in the clear."""
        return inside(self.intercepted(how, count), self.knowledge())[0]


def shufflebits_demo(*, seed: int, advance: Advance = lambda _: None) -> Section:
    """Read labels and draw pictures from features: in the clear, shuffled, and sealed."""
    world = _world(seed)
    advance("features extracted")
    read = _read(world, seed)
    advance("labels read from features")
    clear, sealed = _drawn(world, seed)
    advance("pictures drawn from features")
    broken, walled = (_recovered(world, how) for how in ("shufflebits", "sealed"))
    advance("ShuffleBits attacked without a key")
    return Section(
        slug="shufflebits",
        title="Encrypted features",
        sentence=(
            f"The digit is read from {_percent(read['clear'])} of a network's features in the "
            f"clear, from {_percent(read['shufflebits'])} under ShuffleBits alone, from "
            f"{_percent(read['counted'])} by an attacker who counts set bits, and from "
            f"{_percent(read['sealed'])} in a sealed envelope; a guess has {_percent(_CHANCE)}."
        ),
        figures=(
            _low("digit read, features in the clear", read["clear"]),
            _low("digit read, ShuffleBits alone", read["shufflebits"]),
            _low("digit read, ShuffleBits alone, by counting set bits", read["counted"]),
            _low("digit read, sealed envelope", read["sealed"]),
            _low("features recovered without a key, ShuffleBits alone (cosine)", *broken),
            _low("features recovered without a key, sealed envelope (cosine)", *walled),
        ),
        pictures=(_sheet(world, clear, sealed),),
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _low(label: str, value: float, chance: float = _CHANCE) -> Figure:
    return Figure(label=label, value=value, wanted="low", chance=chance)


def _world(seed: int) -> _World:
    provider, adversary, victims = split_images(load("digits"), list(_SHARES), seed=seed)
    config = replace(_LEARNER, epochs=_EPOCHS)
    net = train_namer(provider.floats(), provider.label("digit"), config, seed=seed)
    assert isinstance(net, ConvClassifier)  # noqa: S101 - pictures are spatial
    side = provider.images.shape[2]
    backbone = Backbone.wrap(
        net.cpu().body, name="own", preprocess=Preprocess(size=(side, side), channels=1)
    ).fit(provider)
    return _World(
        adversary,
        victims,
        {
            "clear": Features(backbone),
            "shufflebits": EncryptedFeatures(backbone, "shufflebits"),
            "sealed": EncryptedFeatures(backbone, "sealed"),
        },
    )


def _read(world: _World, seed: int) -> dict[str, float]:
    """Train on plain features, apply to what was intercepted; balanced accuracies."""
    attack = AttributeAttack(attributes=("digit",), seeds=(seed,), config=_LEARNER)
    _, plain = inside(world.intercepted("shufflebits", 1), world.knowledge())
    trained = attack.learn(plain)
    counting = replace(attack, view="popcounts")
    counter = counting.learn(plain)
    found = {
        how: attack.apply(trained, world.read(how)) for how in ("clear", "shufflebits", "sealed")
    }
    found["counted"] = counting.apply(counter, world.intercepted("shufflebits"))
    return {how: findings["digit"].value for how, findings in found.items()}


def _drawn(world: _World, seed: int) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, "n c h w"]]:
    attack = ReconstructionAttack(seeds=(seed,), config=_DRAWER)
    _, plain = inside(world.intercepted("shufflebits", 1), world.knowledge())
    trained = attack.learn(plain)
    clear, sealed = (trained.draw(world.read(how, _SHOWN))[0] for how in ("clear", "sealed"))
    return clear, sealed


def _recovered(world: _World, how: str) -> tuple[float, float]:
    finding = BitStatistics().run(world.intercepted(how, _BROKEN), world.knowledge())
    return finding.value, finding.floor


def _sheet(world: _World, *drawn: Float[Tensor, "n c h w"]) -> Picture:
    rows: Sequence[Tensor] = (world.victims.subset(range(_SHOWN)).floats(), *drawn)
    pictures = as_uint8(torch.cat(list(rows)))
    return Picture(
        caption="Victims' pictures; drawn from their features in the clear; drawn from sealed "
        "envelopes by the same attacker.",
        png=contact_sheet(pictures, columns=_SHOWN, side=56),
    )
