from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from sfumato.attack.attributes import AttributeAttack
from sfumato.attack.tools.learners import LearnerConfig, class_weights
from sfumato.attack.tools.read import holdout, inside, popcounts, read
from sfumato.data.imageset import ImageSet
from sfumato.data.splits import split_images
from sfumato.errors import ConfigError, DataError
from sfumato.types import Knowledge, Releases

_QUICK = LearnerConfig(epochs=25, restarts=1, batch_size=32, device="cpu")


def _pure_noise(images: Tensor) -> Tensor:
    return torch.randn(len(images), 32)


def _negate(images: Tensor) -> Tensor:
    return -images.flatten(1)


def _setting(blobs: ImageSet, release: object) -> tuple[Releases, Knowledge]:
    own, victims = split_images(blobs, [0.5, 0.5], seed=0)
    assert callable(release)
    victim = Releases(
        protector="test",
        tensor=release(victims.floats()),
        images=victims.floats(),
        labels=victims.labels,
        classes=victims.classes,
    )
    knowledge = Knowledge(
        images=own.floats(), labels=own.labels, query=release, classes=own.classes
    )
    return victim, knowledge


@pytest.mark.parametrize("learner", ["probe", "perceptron", "trees", "conv"])
def test_each_learner_reads_releases_in_the_clear(blobs: ImageSet, learner: str) -> None:
    release = (lambda images: images) if learner == "conv" else _negate
    victim, knowledge = _setting(blobs, release)
    attack = AttributeAttack(
        attributes=("mood", "person"), config=replace(_QUICK, learners=(learner,))
    )
    findings = attack.findings(victim, knowledge)
    assert findings["mood"].value > 0.75
    if learner != "probe":  # a spot's place shows in its sign times its place: not linear
        assert findings["person"].value > 0.4
    assert findings["person"].floor == pytest.approx(0.2)
    low, high = findings["mood"].interval
    assert low <= findings["mood"].value <= high


def test_the_papers_probe_nears_the_ceiling_on_handwritten_digits() -> None:
    pixels, digits = load_digits(return_X_y=True)
    images = torch.from_numpy(pixels / 16).float().view(-1, 1, 8, 8)
    labels = {"digit": torch.from_numpy(digits)}
    victim = Releases(
        protector="none",
        tensor=images[1000:],
        images=images[1000:],
        labels={"digit": labels["digit"][1000:]},
    )
    knowledge = Knowledge(
        images=images[:1000], labels={"digit": labels["digit"][:1000]}, query=lambda x: x
    )
    probe = replace(_QUICK, learners=("probe",))
    finding = AttributeAttack(attributes=("digit",), config=probe).run(victim, knowledge)
    assert finding.value > 0.85
    assert finding.leakage > 0.83
    slow = replace(LearnerConfig.paper(), batch_size=32, lr=2e-3, epochs=10)
    assert AttributeAttack(attributes=("digit",), config=slow).run(victim, knowledge).value > 0.8


def test_noise_stays_at_the_floor_whatever_is_tried(blobs: ImageSet) -> None:
    torch.manual_seed(0)
    victim, knowledge = _setting(blobs, _pure_noise)
    attack = AttributeAttack(attributes=("mood",), seeds=(0, 1), config=_QUICK)
    finding = attack.run(victim, knowledge)
    low, high = finding.interval
    assert low <= finding.floor <= high
    assert finding.value < 0.65
    assert {one.learner for one in finding.details.trained} == {
        "probe",
        "perceptron",
        "trees",
    }


def test_the_best_is_chosen_without_a_look_at_the_victims(blobs: ImageSet) -> None:
    victim, knowledge = _setting(blobs, _negate)
    attack = AttributeAttack(attributes=("mood",), config=_QUICK)
    honest = attack.run(victim, knowledge)
    lied = replace(victim, labels={**victim.labels, "mood": 1 - victim.labels["mood"]})
    assert attack.run(lied, knowledge).value == pytest.approx(1 - honest.value)


def test_plaintext_attacker_reads_nothing_from_shuffled_floats(blobs: ImageSet) -> None:
    own, victims = split_images(blobs, [0.5, 0.5], seed=0)
    generator = torch.Generator().manual_seed(0)

    def scrambled(images: Tensor) -> Tensor:
        shape = images.flatten(1).shape
        return torch.randint(-(2**31), 2**31 - 1, shape, generator=generator).to(torch.int32)

    victim = Releases(
        protector="keyed",
        tensor=scrambled(victims.floats()),
        images=victims.floats(),
        labels=victims.labels,
    )
    knowledge = Knowledge(
        images=own.floats(), labels=own.labels, query=scrambled, query_plain=_negate
    )
    attack = AttributeAttack(attributes=("mood",), config=_QUICK)
    finding = attack.run(*inside(victim, knowledge))
    assert finding.interval[0] <= 0.5 <= finding.interval[1]
    assert all(one.validated > 0.75 for one in finding.details.trained)


def test_groups_stay_on_one_side_of_the_adversarys_split() -> None:
    groups = torch.arange(40) % 7
    train, held = holdout(40, 0.3, groups=groups, seed=3)
    assert not set(groups[train].tolist()) & set(groups[held].tolist())
    assert len(train) + len(held) == 40


def test_class_weights_are_inverse_frequencies() -> None:
    weights = class_weights(torch.tensor([0, 0, 0, 1, -1]), 3)
    assert weights.tolist() == pytest.approx([4 / 6, 4 / 2, 0])


def test_popcounts_do_not_see_a_permutation_of_bits() -> None:
    values = torch.randn(3, 5)
    rolled = values.view(torch.int32)
    rolled = (rolled << 7) | ((rolled >> 25) & 0x7F)
    assert torch.equal(popcounts(values), popcounts(rolled))
    assert float(popcounts(torch.tensor([[-1]], dtype=torch.int32))) == 32


def test_every_bit_pattern_reads_as_a_finite_number() -> None:
    words = torch.tensor([[0x7FC00001, -1, 0x7F800000, 1]], dtype=torch.int32)
    assert bool(read(words.view(torch.float32), "numbers").isfinite().all())


def test_a_missing_or_constant_label_is_an_error(blobs: ImageSet) -> None:
    victim, knowledge = _setting(blobs, _negate)
    with pytest.raises(DataError, match="person"):
        AttributeAttack(attributes=("age",)).run(victim, knowledge)
    flat = replace(victim, labels={"mood": torch.zeros(len(victim.images), dtype=torch.int64)})
    with pytest.raises(DataError, match="two values"):
        AttributeAttack(attributes=("mood",)).run(flat, knowledge)
    with pytest.raises(ConfigError, match="plain"):
        inside(victim, knowledge)
