"""Everybody plays one part, and too few people are refused with what is needed."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sfumato.data.imageset import MISSING
from sfumato.errors import DataError
from sfumato.features.policy import MOST_COHORT
from sfumato.filter.calibrate.config import CalibrationConfig
from sfumato.filter.calibrate.people import LEAST_STRANGERS, draw_parts, thinned


def source(counts: list[int], unknown: int = 0, seed: int = 0) -> Tensor:
    """Return whom each picture shows, shuffled."""
    who = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    who = torch.cat([who, torch.full((unknown,), MISSING)])
    return who[torch.randperm(len(who), generator=torch.Generator().manual_seed(seed))]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(4, 25), min_size=60, max_size=90), st.integers(0, 9))
def test_nobody_plays_two_parts(counts: list[int], seed: int) -> None:
    who = source([12] * 20 + counts, unknown=30, seed=seed)
    config = CalibrationConfig(people=20, pictures=5, seed=seed)
    parts = draw_parts(who, config, enroll=True)
    assert 10 <= len(parts.private) <= 20
    played: dict[int, int] = {}
    groups = [*map(torch.cat, zip(parts.private, parts.uploads, strict=True)), parts.cohort,
              parts.fitting, parts.testing]  # fmt: skip
    for number, rows in enumerate(groups):
        assert len(rows.unique()) == len(rows)
        for person in who[rows].unique().tolist():
            assert person != MISSING
            assert played.setdefault(person, number) == number
    for private, uploads in zip(parts.private, parts.uploads, strict=True):
        assert len(private) == 5
        assert 3 <= len(uploads) <= 10


def test_the_parts_of_the_strangers_are_of_one_size_and_the_cohort_has_a_bound() -> None:
    parts = draw_parts(source([1] * 9000), CalibrationConfig(), enroll=False)
    assert len(parts.private) == 0
    assert len(parts.cohort) == MOST_COHORT
    assert len(parts.fitting) == len(parts.testing) == (9000 - MOST_COHORT) // 2
    small = draw_parts(source([10] * 60), CalibrationConfig(), enroll=False)
    assert [len(small.cohort), len(small.fitting), len(small.testing)] == [200, 200, 200]


def test_nobody_fills_the_strangers_with_their_own_pictures() -> None:
    who = source([5000] + [2] * 5000)
    parts = draw_parts(who, CalibrationConfig(), enroll=False)
    rows = torch.cat([parts.cohort, parts.fitting, parts.testing])
    assert int((who[rows] == 0).sum()) <= 10
    assert len(rows) > 9000


@pytest.mark.parametrize("seed", range(12))
def test_no_part_is_one_persons_pictures(seed: int) -> None:
    who = source([3000] + [9] * 30, seed=seed)
    parts = draw_parts(who, CalibrationConfig(seed=seed), enroll=False)
    for rows in (parts.cohort, parts.fitting, parts.testing):
        people, counts = who[rows].unique(return_counts=True)
        assert len(people) >= 4
        assert 2 * int(counts.max()) < len(rows)
    assert int((who[torch.cat([parts.cohort, parts.fitting, parts.testing])] == 0).sum()) == 30


def test_where_people_are_few_each_gives_more() -> None:
    parts = draw_parts(source([600] * 40), CalibrationConfig(), enroll=False)
    sizes = [len(parts.cohort), len(parts.fitting), len(parts.testing)]
    assert sum(sizes) == pytest.approx(6000, abs=200)
    assert min(sizes) > 1500


def test_fewer_uploads_will_do_where_few_people_have_them() -> None:
    who = source([8] * 30 + [10] * 5 + [1] * 300)
    parts = draw_parts(who, CalibrationConfig(pictures=7), enroll=True)
    assert min(map(len, parts.uploads)) == 1
    assert len(parts.private) == 35


def test_strangers_are_left_even_if_all_could_enroll() -> None:
    parts = draw_parts(source([20] * 44), CalibrationConfig(), enroll=True)
    assert len(parts.private) == 44 - LEAST_STRANGERS
    assert len(draw_parts(source([20] * 100), CalibrationConfig(), enroll=True).private) == 50


@pytest.mark.parametrize(
    ("counts", "enroll", "message"),
    [
        ([100] * 39, True, r"at least 40 people \(10 enroll, 30 are strangers\), got 39"),
        ([100] * 29, False, "at least 30 people, got 29"),
        ([3] * 500, True, "10 people with 7 pictures to enroll and one more to upload, got 0 of"),
        ([20] * 9 + [1] * 400, True, "got 9 of 409 people; take fewer `pictures`"),
        ([8] * 10 + [1] * 199, True, "at least 200 pictures of people who do not enroll, got 199"),
        ([1] * 199, False, "at least 200 pictures of people who do not enroll, got 199"),
    ],
)
def test_too_few_are_refused(counts: list[int], enroll: bool, message: str) -> None:
    with pytest.raises(DataError, match=message):
        draw_parts(source(counts), CalibrationConfig(), enroll=enroll)


def test_of_a_large_source_everybodys_first_picture_is_read() -> None:
    who = source([1000] * 40 + [1] * 100, unknown=10)
    rows = thinned(who, CalibrationConfig())
    assert len(rows) == 15_000
    assert len(thinned(who, CalibrationConfig(people=1000))) == 40_100
    counts = who[rows].bincount()
    assert counts[40:].tolist() == [1] * 100
    assert int(counts[:40].max()) - int(counts[:40].min()) <= 1
    assert bool((rows.diff() > 0).all())
