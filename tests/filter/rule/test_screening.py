"""Screening: attackers resemble their victim, whoever came first; honest users do not."""

from __future__ import annotations

import pytest
import torch

from sfumato.data.sources import load
from sfumato.filter.bank.bank import Bank
from sfumato.filter.enroll import enroll
from sfumato.filter.oneclass import OneClassConfig
from sfumato.filter.rule.screening import (
    Screening,
    compare,
    concluded,
    likeness,
    pair_rows,
)

CONFIG = OneClassConfig.preset("plain", hidden=12, epochs=100, batch_size=32)


@pytest.fixture(scope="module")
def bank() -> Bank:
    """Three honest users, an attacker of `b` with own pictures too, and one with b's alone."""
    digits = load("digits")
    x = {k: digits.where("digit", str(k)).floats().flatten(1) for k in range(4)}
    sets = {
        "a": x[0],
        "b": x[1],
        "c": x[2],
        "mixed": torch.cat([x[3], x[1]]),
        "copy": x[1],
    }
    made = [
        enroll(x, CONFIG, backbone="0" * 64, seed=i, calibration="held-out")
        for i, x in enumerate(sets.values())
    ]
    bank = Bank.empty(64, CONFIG.hidden, backbone="0" * 64)
    for name, enrollment in zip(sets, made, strict=True):
        bank.add(name, enrollment)
    return bank


def screen(newcomer: str, bank: Bank, *, seed: int, own: tuple[str, ...] = ()) -> Screening:
    return concluded([compare(newcomer, bank, seed=seed, own=own)])


def found(screening: Screening) -> set[tuple[str, str]]:
    return {(pair.overrider, pair.claimant) for pair in screening.contested}


def test_a_thief_is_contested_on_its_victim_alone(bank: Bank) -> None:
    assert ("mixed", "b") in found(screen("mixed", bank, seed=0))
    assert not {("mixed", "a"), ("mixed", "c")} & found(screen("mixed", bank, seed=0))


def test_the_order_of_enrolling_does_not_matter(bank: Bank) -> None:
    assert ("mixed", "b") in found(screen("b", bank, seed=0))


def test_honest_users_are_not_contested(bank: Bank) -> None:
    for name in "abc":
        others = {p for p in found(screen(name, bank, seed=0)) if set(p) <= set("abc")}
        assert not others


def test_a_copy_is_contested_both_ways_and_most_alike_first(bank: Bank) -> None:
    screening = screen("copy", bank, seed=0)
    assert {("copy", "b"), ("b", "copy")} <= found(screening)
    values = [pair.value for pair in screening.contested]
    assert values == sorted(values)


def test_own_enrollments_are_not_compared(bank: Bank) -> None:
    assert not screen("copy", bank, seed=0, own=("b", "mixed")).contested


def test_likeness_is_the_mean_error_in_units_of_mu() -> None:
    own = torch.rand(50)
    errors = torch.stack([own, 3 * own], 1)
    mu = float(own.mean())
    assert torch.allclose(likeness(errors, mu), torch.tensor([1.0, 3.0]))
    assert torch.allclose(likeness(7 * errors, 7 * mu), likeness(errors, mu))


def test_pairs_become_rows_in_the_banks_order_without_those_who_left(bank: Bank) -> None:
    pairs = screen("mixed", bank, seed=0).contested
    rows = pair_rows(pairs, ("b", "x", "mixed"))
    assert [2, 0] in rows.tolist()
    assert pair_rows(pairs, ("x",)).shape == (0, 2)
