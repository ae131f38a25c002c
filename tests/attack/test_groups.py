from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.attack.attributes import AttributeAttack
from sfumato.attack.groups import GroupAttack, named_groups, over_people
from sfumato.attack.tools.known import Known
from sfumato.attack.tools.learners import LearnerConfig
from sfumato.errors import ConfigError, DataError
from sfumato.types import Knowledge, Releases

_CONFIG = LearnerConfig(learners=("table", "perceptron"), restarts=1, epochs=8, device="cpu")
_PEOPLE = 6


def _party(seed: int, habit: float, *, by_kind: bool = False) -> tuple[Releases, Knowledge]:
    """Two parties of the same people: each releases one of six pictures, own habit included.

    A share `habit` of what a person releases is a picture that is theirs; with `by_kind` the
    habit is turned round between two kinds, so that it shows only to who knows the kind.
    """
    generator = torch.Generator().manual_seed(seed)
    sides = []
    for _ in range(2):
        person = torch.arange(600) % _PEOPLE
        kind = torch.randint(2, (600,), generator=generator)
        own = (person + kind * 3) % _PEOPLE if by_kind else person
        free = torch.randint(_PEOPLE, (600,), generator=generator)
        shown = torch.where(torch.rand(600, generator=generator) < habit, own, free)
        pictures = torch.eye(_PEOPLE)[shown].reshape(600, 1, 1, _PEOPLE)
        sides.append((pictures, {"person": person, "kind": kind}))
    (mine, labels), (theirs, hidden) = sides
    own_side = Knowledge(images=mine, labels=labels, query=lambda images: images)
    return Releases(protector="p", tensor=theirs, images=theirs, labels=hidden), own_side


def test_many_weak_releases_of_one_person_add_up() -> None:
    victim, knowledge = _party(0, 0.3)
    single = AttributeAttack(attributes=("person",), config=_CONFIG).run(victim, knowledge)
    assert 0.3 < single.value < 0.55
    finding = GroupAttack(label="person", size=20, config=_CONFIG).run(victim, knowledge)
    assert finding.value > 0.7
    assert finding.floor == pytest.approx(1 / _PEOPLE)
    sizes = finding.details.by_size
    assert sizes["1"] < sizes["20"] <= sizes["100"]
    assert sizes["100"] > 0.95
    assert finding.interval[0] <= finding.value <= finding.interval[1]


def test_releases_without_a_habit_say_nothing_however_many() -> None:
    victim, knowledge = _party(1, 0.0)
    finding = GroupAttack(label="person", size=20, config=_CONFIG, seeds=(0, 1)).run(
        victim, knowledge
    )
    assert finding.value < 0.5
    assert finding.metric == "accuracy"
    assert len(finding.details.trained) == 2


def test_of_five_people_the_interval_holds_a_guess_where_nothing_leaks() -> None:
    """Groups of ten out of twelve releases are one trial a person: 16 of 100 intervals missed."""

    people, held = torch.arange(5).repeat_interleave(12), 0
    for seed in range(60):
        scores = torch.randn(60, 5, generator=torch.Generator().manual_seed(seed))
        right, who = named_groups(scores, people, 10, seed=0)
        low, high = over_people(right[None], who)
        held += low <= 1 / 5 <= high
    assert held >= 57


def test_a_label_that_leaves_along_is_read_along() -> None:
    victim, knowledge = _party(2, 0.5, by_kind=True)
    blind = AttributeAttack(attributes=("person",), config=_CONFIG)
    knowing = replace(blind, known=("kind",))
    assert knowing.run(victim, knowledge).value > blind.run(victim, knowledge).value + 0.1


def test_what_known_labels_say_alone_is_the_floor_and_no_leak() -> None:
    """Releases say nothing; who a person is shows in how often each kind is theirs."""
    victim, knowledge = _party(4, 0.0)
    kinds = {}
    for side in (victim, knowledge):
        person = side.labels["person"]
        often = torch.rand(600) < (person.float() + 0.5) / _PEOPLE
        kinds[id(side)] = {"person": person, "kind": often.long()}
    victim = replace(victim, labels=kinds[id(victim)])
    knowledge = replace(knowledge, labels=kinds[id(knowledge)])
    single = AttributeAttack(attributes=("person",), known=("kind",), config=_CONFIG)
    finding = single.run(victim, knowledge)
    assert finding.floor > 1 / _PEOPLE + 0.02
    assert finding.value < finding.floor + 0.1
    groups = GroupAttack(label="person", size=20, known=("kind",), config=_CONFIG)
    found = groups.run(victim, knowledge)
    assert found.floor > 0.4
    assert found.value < found.floor + 0.15


@given(st.integers(0, 1000), st.integers(1, 3))
def test_known_labels_are_planes_of_pictures_and_columns_of_vectors(
    seed: int, classes: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    labels = {"kind": torch.randint(-1, classes, (5,), generator=generator)}
    labels["kind"][0] = classes - 1
    known = Known.of(("kind",), labels)
    pictures = torch.rand(5, 2, 3, 4, generator=generator)
    joined = known.joined(pictures, labels)
    assert joined.shape == (5, 2 + classes, 3, 4)
    torch.testing.assert_close(joined[:, :2], pictures)
    wide = known.joined(pictures.flatten(1), labels)
    torch.testing.assert_close(wide[:, 24:], joined[:, 2:, 0, 0])
    for row, value in zip(wide[:, 24:], labels["kind"].tolist(), strict=True):
        assert row.tolist() == [float(i == value) for i in range(classes)]


def test_groups_multiply_what_each_release_says() -> None:
    scores = torch.tensor([[0.4, 0.6], [0.9, 0.1], [0.4, 0.6], [0.45, 0.55]]).log()
    truth = torch.tensor([0, 0, 1, 1])
    hits, values = named_groups(scores, truth, 2, seed=0)
    assert bool(hits.all()), "each pair is right, though one of its releases alone is wrong"
    assert values.tolist() == [0] * 20 + [1] * 20
    alone, _ = named_groups(scores, truth, 1, seed=0)
    assert 0.5 < float(alone.float().mean()) < 1.0


def test_what_cannot_be_attacked_is_said() -> None:
    victim, knowledge = _party(3, 0.5)
    with pytest.raises(ConfigError, match="size"):
        GroupAttack(label="person", size=0)
    with pytest.raises(ConfigError, match="known labels need no attack"):
        AttributeAttack(attributes=("person",), known=("person",))
    with pytest.raises(DataError, match="no label 'place' to know"):
        Known.of(("place",), knowledge.labels)
    missing = GroupAttack(label="person", known=("place",), config=_CONFIG)
    assert "no label place" in str(missing.unfit(victim, knowledge))
