"""Wilson's interval is scipy's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from sfumato.intervals import wilson_interval


@given(st.integers(0, 60), st.integers(1, 60))
def test_wilsons_interval_is_scipys(hits: int, more: int) -> None:
    expected = binomtest(hits, hits + more).proportion_ci(method="wilson")
    assert wilson_interval(hits / (hits + more), hits + more) == pytest.approx(expected, abs=1e-5)
