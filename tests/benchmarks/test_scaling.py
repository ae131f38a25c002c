"""The arithmetic of `docs/scaling.md` counts what a bank and its list really hold."""

from __future__ import annotations

import json
import math

import pytest
import torch

from benchmarks import scaling
from benchmarks.bank import random_bank
from benchmarks.scaling import Costs, Machine
from sfumato.filter.bank.bank import Bank
from sfumato.filter.bank.shortlist import Shortlist

COSTS = Costs(whole=0.2, alone=1.0, listing=0.004, picked=5.0)


@pytest.mark.parametrize(("dtype", "size"), [(torch.float32, 4), (torch.bfloat16, 2)])
def test_bytes_are_those_of_a_bank(dtype: torch.dtype, size: int) -> None:
    bank: Bank = random_bank(16, 5, dtype)
    stored = sum(t.nbytes for s in bank.segments for t in s.used().values())
    assert scaling.bank_bytes(5, 16, size) == stored


def test_a_list_of_all_costs_more_than_none_and_of_few_less() -> None:
    whole = scaling.operations(1000, 128)
    assert whole == 4 * 32 * 128 * 1000
    assert scaling.operations(1000, 128, 1.0) == whole + 2 * 32 * 1000
    assert scaling.operations(1000, 128, 0.0) == whole / 256
    assert scaling.seconds(10**6, COSTS) == pytest.approx(0.2)
    assert scaling.seconds(10**6, COSTS, 0.001) == pytest.approx(0.009)


def test_machines_hold_the_bytes_and_the_work() -> None:
    machine = Machine(cores=10, gib=10, used=0.5)
    assert scaling.machines(1, 0.1, machine) == 1
    assert scaling.machines(11 * 2**30, 0.1, machine) == 3
    assert scaling.machines(1, 35, machine) == 4


def test_costs_are_an_enrollment_and_an_image() -> None:
    figures = {
        "scoring": [
            {"enrollments": 1000, "batch_ms": 64.0, "one_ms": 3.0, "picked_ms": {"1000": 7.0}}
        ],
        "listing": [{"enrollments": 10, "batch_ms": 9e9}, {"enrollments": 2000, "batch_ms": 64.0}],
    }
    costs = Costs.of(figures)
    assert costs == Costs(whole=1.0, alone=3.0, listing=0.5, picked=7.0)


def test_a_run_replaces_what_it_measured_and_nothing_else() -> None:
    kept = {"threads": 1, "scoring": [1], "load": {"rows": []}}
    run = {"threads": 2, "load": {"rows": [3]}, "cipher": {}}
    found = scaling.merged(kept, run)
    assert found == {"threads": 1, "scoring": [1], "load": {"threads": 2, "rows": [3]}}
    assert scaling.merged(kept, {"threads": 2, "shortlist": {"scoring": [4]}}) == {
        "threads": 2,
        "scoring": [4],
        "load": {"rows": []},
    }


def test_each_load_is_a_row() -> None:
    cell = {"uploads_per_s": 12.34, "p50_ms": 70.0, "p99_ms": 1250.0}
    row = {
        "enrollments": 1000,
        "batched": {"1": cell, "8": cell},
        "one_by_one": {"1": cell, "8": cell},
        "share_of_limit": 0.5,
        "pdq": {"one_per_s": 40.4, "batch_per_s": 41.6},
    }
    overload = {
        "clients": 64,
        "uploads": 5,
        "longest_ms": 900.0,
        "statuses": {"503": 7},
        "retry_after": 7,
    }
    figures = {
        "threads": 1, "load_average": 2.0, "rows": [row],
        "overload": overload,
    }  # fmt: skip
    without = list(scaling.load_lines(figures, alone=False))
    listed = row | {"enrollments": 10_000, "listed": 50}
    lines = list(scaling.load_lines(figures | {"listed": [listed]}, alone=True))
    assert "Another processor" in lines.pop(1)
    assert lines[:-2] == without[:-1]
    assert "10,000, a list names one in 50 | 12.3 (70, 1,250 ms)" in lines[-2]
    assert "12.3 (70, 1,250 ms)" in lines[3]
    assert "0.50 | 40 and 42 |" in lines[3]
    widths = {line.count("|") for line in lines if line.startswith("|")}
    assert widths == {6}
    assert "7 times 503, 7 of them" in lines[-1]


def test_a_list_takes_what_its_rows_hold() -> None:
    made = Shortlist(40, reach=0.0)
    made.append_rows(torch.rand(3, 40), torch.zeros(3))
    block = made.blocks[0]
    numbers = block.means[0].numel() + len(block.sketches) + 4  # spread, radius and two bounds
    assert scaling.list_bytes(3, 40) == 3 * 4 * numbers


def test_each_size_of_a_decision_is_a_row() -> None:
    row = {
        "enrollments": 1000,
        "listed": 3,
        "list_core_ms": 1.25,
        "core_ms": 2.5,
        "wall_ms": 1.5,
    }
    *lines, last = scaling.decision_lines([{"kind": "faces", "rows": [row], "exponent": 0.5}], 2.0)
    assert lines[-1] == "| faces | 1,000 | 3 | 1.2 | 2.5 | 1.5 ms |"
    assert "N^0.50 (faces)" in last


def test_the_field_is_shown_with_what_was_measured() -> None:
    row = {
        "limits": {"decode_and_features_per_s": 1000.0},
        "pdq": {"one_per_s": 500.0},
    }
    hashes = [{"enrollments": 10, "batch_ms": 64e-3}]
    figures = {"load": {"rows": [row]}, "hashes": hashes}
    *mine, peer = scaling.field_needs(figures, COSTS)
    assert [need.seconds for need in mine] == [
        pytest.approx(0.001 + scaling.seconds(10**7, COSTS, share)) for share in (0.001, 0.01, 0.07)
    ]
    assert peer.seconds == pytest.approx(0.002 + 1e-3 * 10**7 / 10 / 1000)
    assert peer.stored == 32 * 10**7


def test_the_page_is_current() -> None:
    figures = json.loads(scaling.MEASURED.read_text())
    assert scaling.PAGE.read_text() == scaling.page(figures)
    assert math.isfinite(Costs.of(figures).picked)
