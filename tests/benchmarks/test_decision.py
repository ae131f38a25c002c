"""The benchmark of whole decisions runs, scores whom the list names, and says how it grows."""

from __future__ import annotations

import pytest

pytest.importorskip("faiss")

from benchmarks import decision


def test_both_kinds_are_measured_at_each_size() -> None:
    found = decision.decisions((500, 3000), 1)
    assert [kind["kind"] for kind in found] == ["alike", "faces"]
    for kind in found:
        assert [row["enrollments"] for row in kind["rows"]] == [500, 3000]
        assert all(row["core_ms"] > 0 for row in kind["rows"])
        assert kind["rows"][-1]["listed"] < 100


def test_hashes_are_looked_up_one_and_many_at_a_time() -> None:
    found = decision.hashes(300, 1)
    assert found["enrollments"] == 300
    assert found["batch_ms"] > 0
