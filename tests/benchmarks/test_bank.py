"""The benchmark of the bank runs, and compares the same arithmetic."""

from __future__ import annotations

import pytest
import torch

from benchmarks import bank


def test_a_batch_is_compared_with_plain_products() -> None:
    figures = bank.batch(16, 8, 1)
    operations = 4 * 64 * 8 * 32 * 16
    assert figures["gflops"] * 1e9 * figures["seconds"] == pytest.approx(operations)
    assert figures["ratio"] == pytest.approx(figures["gflops"] / figures["peer_gflops"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_single_image_is_compared_with_reading(dtype: torch.dtype) -> None:
    figures = bank.single_image(16, 8, dtype, 1)
    read = 8 * 2 * 32 * 16 * dtype.itemsize
    assert figures["gbytes_per_s"] * figures["milliseconds"] * 1e6 == pytest.approx(read)
    assert figures["ratio"] == pytest.approx(figures["gbytes_per_s"] / figures["read_gbytes_per_s"])


def test_growth_counts_what_was_added() -> None:
    figures = bank.growth(16, (3, 7))
    assert [row["enrollments"] for row in figures["rows"]] == [3, 7]
    assert figures["linear"] > 0
