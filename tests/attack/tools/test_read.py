"""How an adversary reads a release, and fair samples of sorted collections."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.attack.tools.read import drawn_rows, holdout, popcounts, read
from sfumato.data.imageset import MISSING
from sfumato.errors import DataError


@given(st.lists(st.integers(0, 10**6), unique=True, max_size=60), st.integers(1, 80))
def test_so_many_of_them_are_drawn_and_no_other(rows: list[int], most: int) -> None:
    given = torch.tensor(rows, dtype=torch.int64)
    drawn = drawn_rows(given, most, seed=3).tolist()
    assert len(drawn) == len(set(drawn)) == min(most, len(rows))
    assert set(drawn) <= set(rows)
    assert drawn == drawn_rows(given, most, seed=3).tolist()


def test_of_a_sorted_collection_every_class_is_drawn() -> None:
    classes = torch.arange(1000) // 100
    for seed in range(20):
        assert len(classes[drawn_rows(torch.arange(1000), 100, seed=seed)].unique()) >= 9


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=30))
def test_the_set_bits_of_each_word_are_counted(words: list[int]) -> None:
    release = torch.tensor(words, dtype=torch.int32)[:, None]
    expected = [float((word & 0xFFFFFFFF).bit_count()) for word in words]
    assert popcounts(release).flatten().tolist() == expected
    assert read(release, "popcounts").flatten().tolist() == expected


def test_numbers_are_read_as_they_are_and_all_are_finite() -> None:
    release = torch.tensor([[1.5, -2.0], [torch.nan, torch.inf], [-torch.inf, 1e300]]).double()
    found = read(release, "numbers")
    largest = torch.finfo(torch.float32).max
    assert found.dtype == torch.float32
    assert found.tolist() == [[1.5, -2.0], [0.0, largest], [-largest, largest]]
    whole = torch.tensor([[3, 255]], dtype=torch.uint8)
    assert read(whole, "numbers").tolist() == [[3.0, 255.0]]


@given(
    people=st.lists(st.integers(0, 6), min_size=2, max_size=40).filter(lambda p: len(set(p)) > 1),
    share=st.floats(0.1, 0.5),
    seed=st.integers(0, 9),
)
def test_of_one_person_all_pictures_are_held_out_or_none(
    people: list[int], share: float, seed: int
) -> None:
    groups = 3 * torch.tensor(people)
    kept, held = holdout(len(people), share, groups=groups, seed=seed)
    assert sorted([*kept.tolist(), *held.tolist()]) == list(range(len(people)))
    assert not {*groups[kept].tolist()} & {*groups[held].tolist()}
    assert len(groups[held].unique()) == max(1, round(share * len(set(people))))


@pytest.mark.parametrize("groups", [None, torch.tensor([0, 0, 0, 0, 0, MISSING])])
def test_where_people_are_not_known_pictures_are_held_out(groups: torch.Tensor | None) -> None:
    kept, held = holdout(6, 1 / 3, groups=groups, seed=0)
    assert (len(kept), len(held)) == (4, 2)


def test_one_picture_or_one_person_cannot_be_held_out() -> None:
    for count, groups in ((0, None), (1, None), (3, torch.tensor([5, 5, 5]))):
        with pytest.raises(DataError, match="two images or people"):
            holdout(count, 0.5, groups=groups, seed=0)
