"""How an adversary reads a release, and fair samples of sorted collections."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.attack.tools.read import (
    Standard,
    as_picture,
    drawn_rows,
    holdout,
    is_picture,
    popcounts,
    read,
)
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


@given(st.integers(0, 100), st.sampled_from([(7, 3), (5, 2, 3), (4, 3, 2, 5)]))
def test_releases_are_standardised_by_the_adversarys_own(seed: int, shape: tuple[int, ...]) -> None:
    """By channel where they are pictures, else by number; no wilder than eight deviations."""
    own = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 3 + 2
    own[:, 0] = 4.0  # says nothing
    standard = Standard.of(own)
    found = standard(own)
    over = (0, 2, 3) if len(shape) == 4 else (0,)
    assert float(found[:, 0].abs().max()) == 0
    assert float(found.mean(over).abs().max()) < 1e-5
    assert torch.allclose(found[:, 1:].std(over, correction=0), torch.tensor(1.0), atol=1e-5)
    assert standard(own[:1])[:, 0].abs().max() == 0
    assert standard(own[:1] * 0 + 5.0)[:, 0].unique().tolist() == [1.0]
    assert standard(own * 1e6).abs().max() == 8.0


@pytest.mark.parametrize(
    ("release", "picture"),
    [
        (torch.zeros(2, 1, 4, 4), True),
        (torch.zeros(2, 3, 4, 4), True),
        (torch.zeros(2, 2, 4, 4), False),
        (torch.zeros(2, 4, 4, 4), False),
        (torch.zeros(2, 1, 4), False),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), False),
    ],
)
def test_a_picture_is_grey_or_of_three_colours(release: torch.Tensor, picture: bool) -> None:
    assert is_picture(release) == picture
    shown = as_picture(release)
    assert (shown is not None) == (picture or release.dtype == torch.uint8)


def test_a_picture_is_seen_in_floats_from_0_to_1_also_where_it_is_bytes() -> None:
    levels = torch.tensor([[[[0, 51], [204, 255]]]], dtype=torch.uint8)
    for release in (levels, torch.tensor([[[[-1.0, 0.2], [0.8, 3.0]]]])):
        shown = as_picture(release)
        assert shown is not None
        assert shown.flatten().tolist() == pytest.approx([0, 0.2, 0.8, 1])
    assert as_picture(levels.expand(-1, 2, -1, -1)) is None
