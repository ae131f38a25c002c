"""A decision over the fronts of a bank's parts is the decision over the bank."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.filter.rule.front import Front, Row, decide, front, joined
from sfumato.filter.rule.guard import NOBODY, contest_rule

# Few values, so that scores, edges and margins tie all the time.
_SCORES = st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0, 3.0, float("inf")])
_ALPHAS = st.sampled_from([0.0, 1.0, 2.0, float("-inf")])


@st.composite
def banks(draw: st.DrawFn) -> dict[str, object]:
    n = draw(st.integers(0, 14))
    column = lambda values: torch.tensor(draw(st.lists(values, min_size=n, max_size=n)))  # noqa: E731
    place = st.integers(0, max(n - 1, 0))
    return {
        "n": n,
        "scores": column(_SCORES).float(),
        "common": column(st.sampled_from([-3.0, -1.5, -0.5, 0.0, 0.5, 1.0, 2.0, 3.5])).float(),
        "alpha": column(_ALPHAS).float(),
        "accounts": column(st.integers(1, 4)).to(torch.int64),
        "account": draw(st.sampled_from([1, 2, -1])),
        "pairs": draw(st.lists(st.tuples(place, place), max_size=4)) if n else [],
        "parts": draw(st.integers(1, 4)),
        "arrival": draw(st.none() | st.permutations([2**30 + i for i in range(n)])),
    }


@settings(max_examples=400)
@given(banks())
def test_parts_decide_as_the_whole(bank) -> None:
    n, account = bank["n"], bank["account"]
    names = [f"e{i}" for i in range(n)]
    pairs = [(names[k], names[v]) for k, v in bank["pairs"]]
    columns = {key: bank[key] for key in ("scores", "common", "alpha", "accounts")}
    owned = columns["accounts"] == account
    arrival = None
    if bank["arrival"] is not None:
        arrival = torch.tensor(bank["arrival"], dtype=torch.float64)

    def part(index: int) -> Front:
        chosen = [i for i in range(n) if i % bank["parts"] == index]
        own = {key: value[chosen] for key, value in columns.items()}
        ids = [names[i] for i in chosen]
        return front(
            ids,
            own["scores"],
            own["common"],
            alpha=own["alpha"],
            accounts=own["accounts"],
            account=account,
            pairs=pairs,
            arrival=None if arrival is None else arrival[chosen],
        )

    margin, row = decide(joined(part(i) for i in range(bank["parts"])), account)
    whole = contest_rule(
        columns["scores"][None],
        columns["common"][None],
        owned[None],
        contested=torch.tensor(bank["pairs"], dtype=torch.int64).reshape(-1, 2),
        alpha=columns["alpha"],
        arrival=arrival,
    )
    assert margin == float(whole.margin)
    if int(whole.enrollment) == NOBODY:
        assert row is None
    else:
        assert row is not None
        i = names.index(row.enrollment)
        assert float(columns["alpha"][i] - columns["common"][i]) == float(whole.margin)
        if bank["parts"] == 1:
            assert i == int(whole.enrollment)


@pytest.mark.parametrize(("ordered", "most"), [(False, 60), (True, 200)])
def test_a_front_is_far_smaller_than_its_part(ordered: bool, most: int) -> None:
    n = 20_000
    sizes = []
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        arrival = torch.randperm(n, generator=generator).double()
        made = front(
            [str(i) for i in range(n)],
            torch.rand(n, generator=generator),
            torch.rand(n, generator=generator) * 9,
            alpha=torch.full((n,), 2.0),
            accounts=torch.arange(n),
            account=-1,
            pairs=[],
            arrival=arrival if ordered else None,
        )
        sizes.append(len(made.rows))
    assert max(sizes) < most


def test_a_front_owns_what_is_of_the_account() -> None:
    rows = tuple(Row(f"e{i}", i, 1.0, 1.0, 2.0, None) for i in (3, 5))
    whole = Front(rows, (("e3", "e5"),))
    assert [whole.owns(account) for account in (3, 4, 5, -1)] == [True, False, True, False]
    assert not Front(()).owns(3)
    twice = joined([whole, Front((), (("e3", "e5"), ("e5", "e3")))])
    assert twice == Front(rows, (("e3", "e5"), ("e5", "e3")))


def test_a_front_has_what_its_part_said() -> None:
    made = front(
        ["far", "own", "near"],
        torch.tensor([3.0, 2.0, 1.0]),
        torch.tensor([9.0, 8.0, 0.5]),
        alpha=torch.tensor([1.0, 2.0, 4.0]),
        accounts=torch.tensor([7, 8, 9]),
        account=8,
        pairs=[("near", "elsewhere")],
        arrival=torch.tensor([30.0, 20.0, 10.0], dtype=torch.float64),
    )
    assert made.rows == (Row("own", 8, 2.0, 8.0, 2.0, 20.0), Row("near", 9, 1.0, 0.5, 4.0, 10.0))
    assert made.pairs == (("near", "elsewhere"),)
