"""Rows that an attacker validates on, or looks at, are a fair sample of a sorted collection."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.attack.tools.read import drawn_rows


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
