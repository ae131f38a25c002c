"""How an adversary reads a release, and fair samples of sorted collections."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.attack.tools.read import drawn_rows, popcounts, read


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
