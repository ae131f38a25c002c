"""Closed-set identification: ranks by the obvious loop, and the floor of the largest gallery."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.attack import reidentify
from sfumato.attack.reidentify import ReidentificationAttack, rank
from sfumato.attack.tools.matchers import Matcher
from sfumato.data.imageset import MISSING
from sfumato.errors import DataError
from sfumato.types import Trained
from tests.attack.people import KNOWN, QUICK, STRANGERS, setting


def test_known_people_are_named_from_releases_in_the_clear_but_not_from_noise() -> None:
    torch.manual_seed(0)
    victims = torch.arange(40).repeat_interleave(3)
    attack = ReidentificationAttack(identity="who", config=QUICK)
    clear = attack.run(*setting(KNOWN, victims, lambda images: images))
    assert clear.value > 0.7
    assert clear.floor == pytest.approx(1 / 30)
    assert clear.details.unknown_victims == 30
    noise = attack.run(*setting(KNOWN, victims, lambda images: torch.randn(len(images), 20)))
    assert noise.value < 0.15


def perfect(*_: object, seed: int) -> list[Matcher]:
    """In place of training: the plain release is the best matcher, and says so."""
    return [
        Matcher("bad", lambda rows: torch.ones(len(rows), 1), 0.1),
        Matcher("good", lambda rows: rows.flatten(1), 0.9),
        Matcher("worse", lambda rows: -rows.flatten(1) * 0, 0.2),
    ]


def test_the_floor_names_whom_the_gallery_shows_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ten victims four are person 2, of whom the gallery has most; two it does not know."""
    monkeypatch.setattr(reidentify, "train_matchers", perfect)
    gallery = torch.tensor([0] * 4 + [1] * 4 + [2] * 6 + [3] * 4)
    victims = torch.tensor([2, 2, 2, 2, 0, 0, 1, 3, 7, 8])
    finding = ReidentificationAttack(identity="who", config=QUICK).run(
        *setting(gallery, victims, lambda images: images)
    )
    assert finding.floor == pytest.approx(4 / 8)
    assert finding.floor_interval is not None
    assert finding.floor_interval[0] < finding.floor < finding.floor_interval[1]
    assert finding.details.unknown_victims == 2
    assert finding.details.people == 4
    # Of four people, one of whom is half of the victims: drawn without that one it is none.
    assert finding.floor_interval[0] == 0
    assert finding.details.trained == (Trained(learner="good", seed=0, validated=0.9),)
    ranks = finding.details.ranks
    assert ranks["1"] == finding.value == finding.details.values[0]
    assert ranks["1"] <= ranks["5"] == ranks["10"] == 1.0


def test_who_has_no_name_is_neither_in_the_gallery_nor_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reidentify, "train_matchers", perfect)
    hidden, knowledge = setting(KNOWN.clone(), torch.tensor([0, 1, 2]), lambda images: images)
    knowledge.labels["who"][knowledge.labels["who"] == 1] = MISSING
    hidden.labels["who"][2] = MISSING
    attack = ReidentificationAttack(identity="who", config=QUICK)
    finding = attack.run(hidden, knowledge)
    assert finding.details.unknown_victims == 2
    assert finding.details.people == 29
    assert attack.unfit(hidden, knowledge) is None
    hidden.labels["who"][0] = MISSING
    assert "knows none of the victims by name" in str(attack.unfit(hidden, knowledge))


def test_ranks_count_people_not_pictures_and_ties_go_against_the_adversary() -> None:
    scores = torch.tensor([[0.9, 0.8, 0.7, 0.1], [0.5, 0.5, 0.5, 0.5]])
    gallery = torch.tensor([7, 7, 3, 5])
    assert rank(scores, gallery, torch.tensor([3, 3])).tolist() == [2, 3]
    assert rank(scores, gallery, torch.tensor([7, 9])).tolist() == [1, 4]


@given(st.integers(0, 10_000))
def test_a_rank_is_one_more_than_the_people_who_score_as_well(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    gallery = torch.randint(0, 6, (12,), generator=generator)
    truth = torch.randint(0, 7, (5,), generator=generator)
    scores = torch.randint(0, 5, (5, 12), generator=generator).float()
    for row, person, found in zip(
        scores.tolist(), truth.tolist(), rank(scores, gallery, truth).tolist(), strict=True
    ):
        best: dict[int, float] = {}
        for score, other in zip(row, gallery.tolist(), strict=True):
            best[other] = max(score, best.get(other, score))
        own = best.pop(person, float("-inf"))
        assert found == 1 + sum(score >= own for score in best.values())


def test_a_gallery_without_any_victim_is_an_error() -> None:
    with pytest.raises(DataError, match="gallery"):
        ReidentificationAttack(identity="who", config=QUICK).run(
            *setting(KNOWN, STRANGERS, lambda images: images)
        )
