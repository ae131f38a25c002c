"""Screening: attackers resemble their victim, whoever came first; honest users do not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.data.sources import load
from sfumato.errors import ConfigError
from sfumato.filter.bank.bank import Bank
from sfumato.filter.enroll import enroll
from sfumato.filter.oneclass import OneClassConfig
from sfumato.filter.rule.screening import (
    BROAD,
    FEW,
    MOST_OTHERS,
    Comparison,
    Likeness,
    Screening,
    compare,
    concluded,
    joined,
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


class Fake:
    """A bank whose error of an enrollment on a sample is |own number - the sample's number|."""

    def __init__(
        self, numbers: Sequence[float], *, mu: float = 1.0, gone: Sequence[str] = ()
    ) -> None:
        self.numbers = {f"e{i}": number for i, number in enumerate(numbers)}
        self.ids = tuple(self.numbers)
        self.mu = torch.full((len(numbers),), mu)
        self.sigma = torch.linspace(0.1, 0.9, len(numbers))
        self.gone = set(gone)
        self.asked: list[tuple[str, int, int]] = []

    def errors(self, x: torch.Tensor, ids: Sequence[str] | None = None) -> torch.Tensor:
        names = self.ids if ids is None else ids
        if self.gone & {*names}:
            raise ConfigError("no such enrollment")
        return (x - torch.tensor([self.numbers[name] for name in names])).abs()

    def samples(self, id_: str, count: int, *, seed: int) -> torch.Tensor:
        if id_ in self.gone:
            raise ConfigError("no such enrollment")
        self.asked.append((id_, count, seed))
        return torch.full((count, 1), self.numbers[id_]) + torch.linspace(0, 1, count)[:, None]

    def __contains__(self, id_: object) -> bool:
        return id_ in self.ids and id_ not in self.gone


NUMBERS = st.lists(st.integers(0, 8).map(lambda i: i / 2), min_size=2, max_size=9)


@given(numbers=NUMBERS, mine=st.integers(1, 2), erased=st.sampled_from([None, 3, 5]))
@settings(max_examples=60)
def test_a_comparison_is_the_one_told_in_words(
    numbers: list[float], mine: int, erased: int | None
) -> None:
    gone = () if erased is None else (f"e{erased}",)
    bank = Fake(numbers, mu=1.25, gone=gone)
    own = [f"e{i}" for i in range(min(mine, len(numbers)))]
    found = compare("e0", bank, seed=4, count=6, contested=0.8, own=own[1:])
    others = [name for name in bank.ids if name not in own and name not in gone]
    steps = [i / 5 for i in range(6)]

    def error(name: str, other: str, step: float) -> float:
        return abs(bank.numbers[name] - bank.numbers[other] - step)

    limits = {name: 1.25 + 2 * float(s) for name, s in zip(bank.ids, bank.sigma, strict=True)}
    pairs, claimed = {}, []
    for other in others:
        pairs["e0", other] = sum(error("e0", other, s) for s in steps) / 6 / 1.25
        pairs[other, "e0"] = sum(error(other, "e0", s) for s in steps) / 6 / 1.25
        claims = [any(error(name, other, s) <= limits[name] for name in own) for s in steps]
        claimed.append(sum(claims) / 6)
    contested = {(p.overrider, p.claimant): p.value for p in found.contested}
    assert contested == pytest.approx({k: v for k, v in pairs.items() if v < 0.8}, abs=1e-5)
    assert found.claimed == pytest.approx(claimed, abs=1e-5)
    assert {(count, seed) for _, count, seed in bank.asked} <= {(6, 4)}


def test_only_those_asked_for_are_compared_and_a_fault_is_no_erasure() -> None:
    bank = Fake([0.0, 0.1, 0.2, 0.3])
    found = compare("e0", bank, seed=0, among=["e2"])
    assert {p.claimant for p in found.contested} | {p.overrider for p in found.contested} == {
        "e0",
        "e2",
    }
    assert len(found.claimed) == 1
    assert compare("e0", Fake([0.0]), seed=0) == Comparison((), ())

    class Broken(Fake):
        def samples(self, id_: str, count: int, *, seed: int) -> torch.Tensor:
            raise ConfigError("another fault")

    class Wrong(Fake):
        def errors(self, x: torch.Tensor, ids: Sequence[str] | None = None) -> torch.Tensor:
            raise ConfigError("another fault")

    for broken in (Broken([0.0, 1.0]), Wrong([0.0, 1.0])):
        with pytest.raises(ConfigError, match="another fault"):
            compare("e0", broken, seed=0)


def test_of_many_others_some_are_drawn_anew_for_each_newcomer() -> None:
    """Pairs are of all others; the share of claims is of the drawn ones alone."""
    more = MOST_OTHERS + 30
    bank = Fake([i % 7 / 3 for i in range(more + 1)])
    few = Fake(list(bank.numbers.values())[: MOST_OTHERS + 1])
    assert len(compare("e0", few, seed=1).claimed) == MOST_OTHERS
    shares = []
    for seed in range(4):
        found = compare("e0", bank, seed=seed, contested=1e9)
        assert len(found.contested) == 2 * more
        assert len(found.claimed) == MOST_OTHERS
        shares.append(found.claimed)
    assert len({*shares}) > 1
    assert compare("e0", bank, seed=1).claimed == shares[1]


def test_parts_add_up_and_few_others_say_nothing() -> None:
    pair = Likeness(overrider="b", claimant="a", value=0.5)
    nearer = Likeness(overrider="a", claimant="c", value=0.25)
    same = Likeness(overrider="a", claimant="b", value=0.5)
    parts = [Comparison((pair,), (1.0, 0.5), 2), Comparison((pair, same, nearer), (0.0, 0.25), 3)]
    whole = joined(parts)
    assert (whole.claimed, whole.copied) == ((1.0, 0.5, 0.0, 0.25), 5)
    assert concluded(parts) == Screening((nearer, same, pair), 0.0, 5)
    assert FEW == 5
    more = [*parts, Comparison((), (1.0,))]
    assert concluded(more) == concluded(reversed(more)) == Screening((nearer, same, pair), 0.55, 5)


@pytest.mark.parametrize(("breadth", "broad"), [(0.0, False), (BROAD, False), (0.51, True)])
def test_whoever_claims_more_than_half_is_broad(breadth: float, broad: bool) -> None:
    assert BROAD == 0.5
    assert Screening((), breadth, 0).broad == broad
