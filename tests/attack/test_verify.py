"""Verification of strangers: figures and intervals as counted by hand, and the best matcher."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from torch import Tensor

from sfumato.attack import verify
from sfumato.attack.tools.matchers import Embed, Matcher, pair_scores, pairs
from sfumato.attack.tools.scores import area, draw_weights
from sfumato.attack.verify import VerificationAttack, curve, tar_at_far
from sfumato.data.imageset import MISSING
from sfumato.errors import DataError
from sfumato.intervals import wilson_interval
from sfumato.types import Trained
from tests.attack.people import KNOWN, QUICK, STRANGERS, setting


def test_strangers_are_verified_from_releases_in_the_clear() -> None:
    finding = VerificationAttack(identity="who", config=QUICK).run(
        *setting(KNOWN, STRANGERS, lambda images: images.flatten(1))
    )
    assert finding.value > 0.9
    assert finding.interval[0] < finding.value < finding.interval[1]
    assert finding.details.tar["0.1"] > 0.7


def test_strangers_cannot_be_verified_from_noise() -> None:
    torch.manual_seed(0)
    finding = VerificationAttack(identity="who", seeds=(0, 1), config=QUICK).run(
        *setting(KNOWN, STRANGERS, lambda images: torch.randn(len(images), 20))
    )
    assert finding.interval[0] <= 0.5 <= finding.interval[1]
    assert abs(finding.value - 0.5) < 0.1


Judge = Callable[[Embed], float]


def matched(*validated: float, embed: Embed = lambda rows: rows.flatten(1)) -> object:
    """In place of training: matchers that are known, of these validated figures."""

    def train(
        _rows: Tensor, _people: Tensor, _judge: Judge, *_: object, seed: int
    ) -> list[Matcher]:
        return [Matcher(f"m{i}", embed, figure) for i, figure in enumerate(validated)]

    return train


@pytest.mark.parametrize("validated", [(0.9, 0.5, 0.7), (0.5, 0.9, 0.7), (0.5, 0.7, 0.9)])
def test_the_best_validated_matcher_is_used(
    validated: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "train_matchers", matched(*validated))
    finding = VerificationAttack(identity="who", seeds=(0, 1), config=QUICK).run(
        *setting(KNOWN, STRANGERS, lambda images: images)
    )
    name = f"m{validated.index(0.9)}"
    assert finding.details.trained == tuple(
        Trained(learner=name, seed=seed, validated=0.9) for seed in (0, 1)
    )


def test_matchers_are_judged_on_people_whom_they_never_saw(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    figures: list[float] = []
    seen: list[set[int]] = []

    def train(
        rows: Tensor, people: Tensor, validated: Judge, *_: object, seed: int
    ) -> list[Matcher]:
        seen.append(set(people.tolist()))
        assert len(rows) == len(people)
        figures.append(validated(lambda new: new.flatten(1)))
        figures.append(validated(lambda new: torch.ones(len(new), 1)))
        return [Matcher("m", lambda new: new.flatten(1), 1.0)]

    monkeypatch.setattr(verify, "train_matchers", train)
    VerificationAttack(identity="who", config=QUICK).run(
        *setting(KNOWN, STRANGERS, lambda images: images)
    )
    assert 0.6 * 30 <= len(seen[0]) <= 0.7 * 30 + 1
    assert figures[0] > 0.7
    assert figures[1] == pytest.approx(0.5)


def test_the_interval_draws_both_people_of_a_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the same bootstrap, pair by pair, with scikit-learn's weighted area.

    Some people are told at once and some not at all, so that it matters who is drawn.
    """
    victims = torch.arange(10).repeat_interleave(12)
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(120, 8, generator=generator)
    vectors[victims < 4] = torch.eye(8)[victims[victims < 4] // 2] + 0.1 * vectors[victims < 4]
    monkeypatch.setattr(verify, "train_matchers", matched(1.0, embed=lambda _: vectors))
    hidden, knowledge = setting(KNOWN, victims, lambda images: images)
    finding = VerificationAttack(identity="who", config=QUICK).run(hidden, knowledge)
    genuine, impostor = pairs(victims)
    scores = torch.cat([pair_scores(vectors, index) for index in (genuine, impostor)])
    truth = np.r_[np.ones(len(genuine)), np.zeros(len(impostor))]
    assert finding.value == pytest.approx(roc_auc_score(truth, scores), abs=1e-6)
    areas = []
    for row in draw_weights(len(victims), groups=victims, draws=200):
        weights = torch.cat([row[genuine[:, 0]], row[impostor[:, 0]] * row[impostor[:, 1]]])
        areas.append(roc_auc_score(truth, scores, sample_weight=weights))
    low, high = np.quantile(areas, [0.025, 0.975])
    least = wilson_interval(finding.value, len(victims))
    assert low < least[0] < least[1] < high, "so that these people say what the interval is"
    assert finding.interval == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize("name", ["genuine", "impostor"])
def test_equal_scores_of_few_people_prove_little(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All pairs are told apart in every draw of these people, but not of others."""
    victims = torch.tensor([0, 0, 1, 1])
    vectors = torch.eye(4)[victims] if name == "genuine" else torch.ones(4, 4)
    monkeypatch.setattr(verify, "train_matchers", matched(1.0, embed=lambda _: vectors))
    finding = VerificationAttack(identity="who", config=QUICK).run(
        *setting(KNOWN, victims, lambda images: images)
    )
    expected = 1.0 if name == "genuine" else 0.5
    assert finding.value == expected
    assert finding.interval == pytest.approx(wilson_interval(expected, 4))


def test_victims_without_a_name_are_strangers_to_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verify, "train_matchers", matched(1.0))
    hidden, knowledge = setting(KNOWN, torch.tensor([0, 0, 1, 2, 3]), lambda images: images)
    hidden.labels["who"][2:4] = MISSING
    finding = VerificationAttack(identity="who", config=QUICK).run(hidden, knowledge)
    assert finding.details.genuine_pairs == 1
    assert finding.details.impostor_pairs == 9


def test_area_and_rates_are_those_of_sklearn_and_of_counting() -> None:
    generator = torch.Generator().manual_seed(3)
    genuine = torch.randint(0, 9, (60,), generator=generator).float() + 2
    impostor = torch.randint(0, 9, (90,), generator=generator).float()
    truth = np.r_[np.ones(60), np.zeros(90)]
    assert area(genuine, impostor) == pytest.approx(roc_auc_score(truth, [*genuine, *impostor]))
    tenth = sorted(impostor.tolist(), reverse=True)[9]
    assert tar_at_far(genuine, impostor, 0.1) == pytest.approx(
        float((genuine > tenth).float().mean())
    )
    assert tar_at_far(genuine, impostor, 0.001) == pytest.approx(
        float((genuine > impostor.max()).float().mean())
    )


SCORES = st.lists(st.integers(-4, 4).map(lambda i: i / 4), min_size=1, max_size=12)


@given(SCORES, SCORES)
def test_an_area_is_the_share_of_ordered_pairs(genuine: list[float], impostor: list[float]) -> None:
    ordered = [(g > i) + (g == i) / 2 for g in genuine for i in impostor]
    found = area(torch.tensor(genuine), torch.tensor(impostor))
    assert found == pytest.approx(sum(ordered) / len(ordered))


@given(SCORES, SCORES, st.sampled_from([0.0, 0.01, 0.1, 0.5]))
def test_no_more_impostors_pass_than_are_allowed(
    genuine: list[float], impostor: list[float], far: float
) -> None:
    found = tar_at_far(torch.tensor(genuine), torch.tensor(impostor), far)
    shares = [
        sum(g > threshold for g in genuine) / len(genuine)
        for threshold in impostor
        if sum(i > threshold for i in impostor) <= far * len(impostor)
    ]
    assert found == pytest.approx(max(shares))


def test_a_curve_climbs_from_corner_to_corner() -> None:
    generator = torch.Generator().manual_seed(0)
    genuine, impostor = (torch.rand(300, generator=generator) * 2 - 1 for _ in range(2))
    drawn = curve((genuine + 0.5).clamp(max=1), impostor)
    assert len(drawn.far) == len(drawn.tar) == 101
    for values in (drawn.far, drawn.tar):
        assert (values[0], values[-1]) == (0, 1)
        assert list(values) == sorted(values)
    assert sum(drawn.tar) > sum(drawn.far)


def test_one_person_alone_is_an_error() -> None:
    alone = torch.zeros(6, dtype=torch.int64)
    attack = VerificationAttack(identity="who", config=QUICK)
    with pytest.raises(DataError, match="two victims"):
        attack.run(*setting(KNOWN, alone, lambda images: images))
    with pytest.raises(DataError, match="two victims"):
        attack.run(*setting(KNOWN, torch.arange(6), lambda images: images))
    with pytest.raises(DataError, match="4 people"):
        attack.run(*setting(alone, STRANGERS, lambda images: images))
    with pytest.raises(DataError, match="two images each of more"):
        attack.run(*setting(torch.arange(30), STRANGERS, lambda images: images))
