"""A random order is a permutation, and the same for the same seed."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.data.order import numpy_seed, random_order


@given(st.integers(0, 200), st.integers(0, 2**31))
def test_every_number_comes_once_and_the_seed_decides(count: int, seed: int) -> None:
    order = random_order(count, seed)
    assert sorted(order.tolist()) == list(range(count))
    assert torch.equal(order, random_order(count, seed))
    if count > 20:
        assert not torch.equal(order, random_order(count, seed + 1))


@given(st.integers(-(2**70), 2**70))
def test_numpy_takes_any_seed(seed: int) -> None:
    assert np.random.RandomState(numpy_seed(seed)) is not None
    if 0 <= seed < 2**32:
        assert numpy_seed(seed) == seed
