"""Machines hold what is indexed and do the work, and there are always two instances."""

from __future__ import annotations

import pytest

from benchmarks import field
from benchmarks.field import Fleet, Need


@pytest.mark.parametrize(
    ("stored", "seconds", "wanted"),
    [
        (1.0, 1e-9, Fleet(1, 2)),  # what fits and is quick still has two
        (250.0, 1e-9, Fleet(3, 2)),
        (100.0, 0.03, Fleet(1, 12)),  # 120 cores are busy, of machines of 10
        (250.0, 0.03, Fleet(3, 4)),
    ],
)
def test_a_fleet_holds_the_bytes_and_the_work(stored: float, seconds: float, wanted: Fleet) -> None:
    found = field.fleet(Need(name="x", stored=stored, seconds=seconds), room=100.0, cores=10)
    assert found == wanted
    assert found.machines * 10 >= field.RATE * seconds


def test_money_is_machines_times_the_price() -> None:
    need = Need(name="mine", stored=100.0, seconds=0.03)
    *_, row, note = field.lines([need], room=100.0, cores=10, price=1.2)
    assert row == "| mine | 30.0 | 120 | 1 x 12 | 12 | 14 | 1.00 |"
    assert "Nobody has run this load" in note
    head = next(iter(field.lines([need], room=100.0, cores=10, price=1.2)))
    assert "assumed to cost 1.20 dollars" in head
