from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, bootstrap
from scipy.stats import t as student
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from sfumato.attack.tools.scores import (
    PERFECT_PSNR,
    area,
    balanced_accuracy,
    cosine_distance,
    draw_weights,
    interval,
    mean_interval,
    pairs_interval,
    psnr,
    resampled_interval,
    share_interval,
    ssim,
    two_sided,
    weighted_balanced_accuracy,
    weighted_mean,
)
from sfumato.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore:(y_pred contains|A single label):UserWarning")


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40))
def test_balanced_accuracy_is_sklearns(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = (torch.tensor(column) for column in zip(*pairs, strict=True))
    expected = balanced_accuracy_score(truth.numpy(), predicted.numpy())
    assert balanced_accuracy(predicted, truth) == pytest.approx(expected)
    weights = torch.ones(1, len(truth))
    weighted = weighted_balanced_accuracy(predicted == truth, truth)(weights)
    assert float(weighted) == pytest.approx(expected)


def test_unlabelled_victims_do_not_count() -> None:
    truth, predicted = torch.tensor([0, 1, -1]), torch.tensor([0, 1, 0])
    assert balanced_accuracy(predicted, truth) == 1.0
    with pytest.raises(DataError, match="no victim"):
        balanced_accuracy(predicted, torch.full((3,), -1))


def test_interval_of_a_mean_is_the_normal_one() -> None:
    values = torch.randn(2000, generator=torch.Generator().manual_seed(1))
    low, high = interval(weighted_mean(values), draw_weights(2000))
    half = 1.96 / np.sqrt(2000)
    assert low == pytest.approx(float(values.mean()) - half, abs=0.006)
    assert high == pytest.approx(float(values.mean()) + half, abs=0.006)


def test_groups_are_drawn_whole_and_widen_the_interval() -> None:
    groups = torch.arange(20).repeat_interleave(50)
    values = torch.randn(20, generator=torch.Generator().manual_seed(2))[groups]
    weights = draw_weights(1000, groups=groups)
    assert torch.equal(weights[:, :1].expand(-1, 50), weights[:, :50])
    low, high = interval(weighted_mean(values), weights)
    alone = interval(weighted_mean(values), draw_weights(1000))
    assert high - low > 3 * (alone[1] - alone[0])


def test_seeds_widen_the_interval_too() -> None:
    values = torch.cat([torch.zeros(100), torch.ones(100)])
    low, high = interval(weighted_mean(values), draw_weights(100, seeds=2))
    assert (low, high) == (0.0, 1.0)


def test_psnr_and_ssim_by_hand() -> None:
    images = torch.full((3, 1, 16, 16), 0.5)
    guesses = images.clone()
    guesses[1] += 0.1
    assert psnr(images, guesses)[0] == PERFECT_PSNR
    assert float(psnr(images, guesses)[1]) == pytest.approx(20, abs=1e-3)
    noisy = torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    assert ssim(noisy, noisy).tolist() == pytest.approx([1, 1, 1])
    assert float(ssim(noisy, 1 - noisy).max()) < 0
    assert ssim(noisy[:1, :, :6, :6], noisy[:1, :, :6, :6]).shape == (1,)


def test_cosine_distance_by_hand() -> None:
    a = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    b = torch.tensor([[2.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    assert cosine_distance(a, b).tolist() == pytest.approx([0, 1, 2])


@given(st.integers(0, 30), st.integers(1, 30))
def test_a_share_is_never_surer_than_wilsons(hits: int, more: int) -> None:
    total = hits + more
    row = (torch.arange(total) < hits).float()[None]
    low, high = share_interval(row, torch.zeros(total, dtype=torch.int64))
    expected = binomtest(hits, total).proportion_ci(method="wilson")
    assert low <= expected.low + 1e-6
    assert high >= expected.high - 1e-6


def test_balanced_accuracy_of_one_guess_for_all_is_half_but_not_for_sure() -> None:
    """Each recall alone: 0 of 10 is up to 0.278, 10 of 10 from 0.722; the mean by their squares."""
    truth = torch.arange(20) % 2
    low, high = share_interval((truth == 0).float()[None], truth)
    half = 0.2775 / 2
    assert (low, high) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-3)


def test_few_people_who_are_all_alike_count_as_people_and_not_as_pictures() -> None:
    none = torch.zeros(1, 200)
    people = torch.arange(200) % 4
    strata = torch.zeros(200, dtype=torch.int64)
    assert share_interval(none, strata)[1] < 0.02
    assert share_interval(none, strata, groups=people)[1] == pytest.approx(0.49, abs=0.01)


def test_a_mean_of_few_is_as_unsure_as_students() -> None:
    values = torch.tensor([[0.2, 0.4, 0.9]])
    low, high = mean_interval(values)
    expected = student.interval(0.95, 2, loc=0.5, scale=float(values.std()) / 3**0.5)
    assert (low, high) == pytest.approx(expected, abs=1e-5)
    with pytest.raises(DataError, match="two victims"):
        mean_interval(values[:, :1])


def test_people_are_drawn_anew_for_an_interval_over_their_pairs() -> None:
    """Two of ten people lose to every thief: 18 of 90 pairs, and no 18 witnesses of it."""
    pairs = torch.tensor([(i, j) for i in range(10) for j in range(10) if i != j])
    values = (pairs[:, 1] < 2).float()
    low, high = pairs_interval(values, pairs)
    alone = mean_interval(values[None])
    assert low < 0.02 < alone[0]
    assert high > 0.4 > alone[1]
    slow = [
        sum(float(w[i] * w[j] * (j < 2)) for i, j in pairs.tolist())
        / sum(float(w[i] * w[j]) for i, j in pairs.tolist())
        for w in draw_weights(10)
    ]
    assert (low, high) == pytest.approx(np.quantile(slow, [0.025, 0.975]), abs=1e-5)
    with pytest.raises(DataError, match="two victims"):
        pairs_interval(values[:1], pairs[:1])


@given(
    st.lists(st.integers(-5, 5), min_size=1, max_size=30),
    st.lists(st.integers(-5, 5), min_size=1, max_size=30),
)
def test_the_area_is_sklearns_with_ties(genuine: list[int], impostor: list[int]) -> None:
    truth = [1] * len(genuine) + [0] * len(impostor)
    expected = roc_auc_score(truth, [*genuine, *impostor])
    found = area(torch.tensor(genuine).float(), torch.tensor(impostor).float())
    assert found == pytest.approx(expected)


def test_the_resampled_interval_is_scipys() -> None:
    values = torch.rand(40, generator=torch.Generator().manual_seed(3)) ** 2
    low, high = resampled_interval(values, seed=0)
    expected = bootstrap(
        (values.numpy(),), np.mean, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.01)
    assert (low, high) == resampled_interval(values, seed=0) != resampled_interval(values, seed=1)


@pytest.mark.parametrize(
    ("one_sided", "found"), [(0.125, 0.875), (0.5, 0.5), (0.75, 0.75), (0.0, 1.0)]
)
def test_who_is_mostly_wrong_can_turn_the_answer_round(one_sided: float, found: float) -> None:
    assert two_sided(one_sided) == found
