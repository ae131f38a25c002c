"""The benchmark of the shortlist runs, and its peer lists the same rows."""

from __future__ import annotations

import pytest
import torch

from benchmarks import shortlist
from sfumato.filter.bank.shortlist import Shortlist

faiss = pytest.importorskip("faiss")


def test_faiss_lists_the_same_rows() -> None:
    made = Shortlist(128, reach=0.5)
    means = torch.rand(300, 128)
    made.append_rows(means, torch.rand(300) * 12)
    x = torch.rand(1, 128)
    limits, _, rows = shortlist.faiss_index(made).range_search(shortlist.faiss_queries(x), 0.0)
    near = made.near(x, torch.full((300,), shortlist.LIMIT))
    assert 0 < len(near) < 300
    assert sorted(rows[: limits[1]].tolist()) == near.tolist()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_part_is_measured(dtype: torch.dtype) -> None:
    figures = shortlist.scoring(1200, dtype, 1)
    small = 4 * (32 + 128 + 32 + 32 * 32 + 2)
    assert figures["bytes_each"] == 2 * 32 * 128 * dtype.itemsize + small
    assert set(figures["picked_ms"]) == {"10", "100", "1000"}
    assert shortlist.listing(500, 1)["bytes_each"] == 4 * (128 + 65 + 4)
    assert set(shortlist.adding(5)) == {"without_us", "with_us"}
