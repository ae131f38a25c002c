from __future__ import annotations

import pytest
import torch

from sfumato.attack.linkage import LinkageAttack, contrast, vote
from sfumato.attack.tools.learners import LearnerConfig
from sfumato.data.imageset import ImageSet
from sfumato.protect.baselines import Unprotected
from sfumato.types import Finding, Knowledge, Protector, Releases

_CONFIG = LearnerConfig(epochs=15, batch_size=25, patience=None, device="cpu")


class _Constant(Protector):
    name = "constant"

    def release(self, images: torch.Tensor) -> torch.Tensor:
        return torch.full_like(images, 0.5)


class _Negative(Protector):
    name = "negative"

    def release(self, images: torch.Tensor) -> torch.Tensor:
        return 1 - images


class _Few(Protector):
    """Numbers with no room for convolutions, in 8 bits."""

    name = "few"

    def release(self, images: torch.Tensor) -> torch.Tensor:
        places = torch.nn.functional.adaptive_avg_pool2d(images, 4)
        return (255 * (places - 0.5)).clamp(-127, 127).round().to(torch.int8)


def _attack(protector: Protector, blobs: ImageSet, group: str | None = None) -> Finding:
    own, victims = blobs.subset(range(120)), blobs.subset(range(120, 200))
    victim = Releases(
        protector=protector.name,
        tensor=protector.release(victims.floats()),
        images=victims.floats(),
        labels=victims.labels,
    )
    knowledge = Knowledge(images=own.floats(), labels=own.labels, query=protector.release)
    return LinkageAttack(label="person", config=_CONFIG, group=group).run(victim, knowledge)


def test_releases_that_say_all_are_linked_and_named(blobs: ImageSet) -> None:
    for protector in (Unprotected(), _Negative(), _Few()):
        found = _attack(protector, blobs)
        assert found.value > 0.8, protector.name
        assert found.details.linked > 8 * found.details.linked_by_chance
        assert found.interval[0] <= found.value <= found.interval[1]


def test_releases_that_say_nothing_are_not(blobs: ImageSet) -> None:
    found = _attack(_Constant(), blobs)
    assert found.value < 0.35
    assert found.details.linked < 3 * found.details.linked_by_chance


def test_people_are_drawn_anew_for_an_interval_where_they_are_named(blobs: ImageSet) -> None:
    """One name for everybody is right for all pictures of one person of five, and says so."""
    low, high = _attack(_Constant(), blobs, group="person").interval
    alone = _attack(_Constant(), blobs).interval
    assert low < alone[0] < alone[1] < high
    assert high - low > 1.5 * (alone[1] - alone[0])


def test_contrast_is_least_where_pairs_coincide_and_votes_weigh_by_nearness() -> None:
    vectors = torch.eye(4)
    assert float(contrast(vectors, vectors)) < 0.01 < float(contrast(vectors, vectors.flip(0)))
    labels = torch.tensor([3, 1, 1, 0])
    assert vote(vectors, vectors, labels).tolist() == [3, 1, 1, 0]


def test_the_floor_is_a_guess_from_the_adversarys_own_labels(blobs: ImageSet) -> None:
    """The adversary has most of person 0, the victims are mostly person 1."""
    person = blobs.label("person")
    own = torch.cat([(person == k).nonzero()[:n, 0] for k, n in enumerate((16, 10, 5, 5, 4))])
    late = [(person == k).nonzero()[20:, 0] for k in range(3)]
    theirs = torch.cat([rows[:n] for rows, n in zip(late, (5, 15, 4), strict=True)])
    known, victims = blobs.subset(own), blobs.subset(theirs)
    labels = {"person": victims.label("person").clone()}
    labels["person"][-4:] = -1  # nobody knows who these are, so they are not counted
    victim = Releases(
        protector="none", tensor=victims.floats(), images=victims.floats(), labels=labels
    )
    knowledge = Knowledge(images=known.floats(), labels=known.labels, query=Unprotected().release)
    config = LearnerConfig(epochs=1, batch_size=20, patience=None, device="cpu")
    found = LinkageAttack(label="person", config=config).run(victim, knowledge)
    assert found.floor == pytest.approx(5 / 20)
    assert found.floor_interval is not None
    assert found.floor_interval[0] < 0.25 < found.floor_interval[1]
    assert found.details.victims == 20
    assert found.details.linked_by_chance == 1 / 24


def test_a_near_original_outvotes_several_farther_ones() -> None:
    near, far = torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.75**0.5])
    known = torch.stack([near, far, far, far])
    assert vote(near[None], known, torch.tensor([0, 1, 1, 1])).tolist() == [0]
    assert vote(far[None], known, torch.tensor([0, 1, 1, 1])).tolist() == [1]
