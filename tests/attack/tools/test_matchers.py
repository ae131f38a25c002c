"""Matchers' parts: pairs, their cosine similarities, and how well these tell people apart."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from sfumato.attack.tools.matchers import (
    pair_scores,
    pairs,
    separation,
    similarities,
    train_matchers,
)
from sfumato.errors import DataError
from tests.attack.people import KNOWN, QUICK, faces


@given(st.lists(st.integers(0, 3), min_size=2, max_size=9))
def test_pairs_are_all_pairs(people: list[int]) -> None:
    genuine, impostor = pairs(torch.tensor(people))
    every = list(combinations(range(len(people)), 2))
    assert list(map(tuple, genuine.tolist())) == [p for p in every if people[p[0]] == people[p[1]]]
    assert list(map(tuple, impostor.tolist())) == [p for p in every if people[p[0]] != people[p[1]]]


def test_of_very_many_pairs_a_random_part_is_kept() -> None:
    people = torch.arange(700) // 2
    genuine, impostor = pairs(people)
    assert (len(genuine), len(impostor)) == (350, 200_000)
    assert len(impostor.unique(dim=0)) == 200_000
    assert torch.equal(impostor, pairs(people)[1])
    assert not torch.equal(impostor, pairs(people, seed=1)[1])
    # Every row takes part about as often as any other: 571 times of 200,000 pairs.
    counts = impostor.flatten().bincount()
    assert int(counts.min()) > 400


def test_pair_scores_are_the_cosines_of_all_similarities() -> None:
    vectors = 3 * torch.randn(210, 5)
    index = torch.triu_indices(210, 210, 1).T
    every = similarities(vectors, vectors)
    torch.testing.assert_close(pair_scores(vectors, index), every[index[:, 0], index[:, 1]])
    torch.testing.assert_close(every.diagonal(), torch.ones(210))
    assert float(similarities(vectors, -vectors)[0, 0]) == pytest.approx(-1)


def test_separation_is_the_area_over_all_pairs() -> None:
    people = torch.arange(40) % 8
    vectors = torch.randn(40, 6) + 2 * torch.eye(8)[people, :6]
    scores = [pair_scores(vectors, index) for index in pairs(people)]
    truth = [1] * len(scores[0]) + [0] * len(scores[1])
    assert separation(vectors, people) == pytest.approx(
        roc_auc_score(truth, torch.cat(scores)), abs=1e-6
    )


def test_what_was_learned_tells_people_apart_better_than_nothing_learned() -> None:
    judged = torch.arange(30, 50).repeat_interleave(4)
    shown = faces(judged)
    trained = train_matchers(
        faces(KNOWN), KNOWN, lambda embed: separation(embed(shown), judged), QUICK, seed=0
    )
    validated = {matcher.name: matcher.validated for matcher in trained}
    assert validated["discriminant"] > validated["cosine"] > 0.5
    assert validated["network"] > 0.75


def test_a_constant_release_trains_and_tells_nothing() -> None:
    people = torch.arange(6).repeat_interleave(4)
    constant = torch.full((24, 1, 4, 4), 0.5)
    trained = train_matchers(
        constant, people, lambda embed: separation(embed(constant), people), QUICK, seed=0
    )
    assert [matcher.validated for matcher in trained] == pytest.approx([0.5] * 3)
    with pytest.raises(DataError, match="two people at least, the adversary has 1"):
        train_matchers(constant, 0 * people, lambda _: 0.0, QUICK, seed=0)
