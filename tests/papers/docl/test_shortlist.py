"""The shortlist recipe counts what a list finds, and groups pictures without losing their order."""

from __future__ import annotations

import math

import pytest
import torch

from papers.docl import crowds
from papers.docl.crowds import crowded_bank, groups
from papers.docl.shortlist import Scored, chosen_reach, least_k, recalls, scored, table
from sfumato.data.sources import load
from sfumato.filter.oneclass import OneClassConfig


def test_groups_keep_pictures_apart_and_leave_small_rests_out() -> None:
    private = [torch.arange(10.0)[:, None], 100 + torch.arange(5.0)[:, None]]
    found = groups(private, {"pictures": 4, "least": 2})
    assert [x[:, 0].tolist() for x in found] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9],
        [100, 101, 102, 103],
    ]
    assert len(groups(private, {"pictures": 4, "least": 2, "most": 1})) == 2


def test_recalls_by_hand() -> None:
    z = torch.tensor([[0.0, 1.0, 9.0], [9.0, 9.0, 9.0], [2.0, 1.0, 0.0], [0.0, 9.0, 9.0]])
    claimed = z <= 2
    listed = torch.tensor([[0, 1, 0], [0, 0, 1], [0, 0, 1], [0, 1, 0]]).bool()
    found = recalls(z, claimed, listed)
    assert found["listed"] == pytest.approx(4 / 12)
    assert found["blocks"] == pytest.approx(2 / 3)  # the first by its second claim, not the last
    assert found["deciders"] == pytest.approx(1 / 3)
    assert found["claims"] == pytest.approx(2 / 6)
    assert found["decisions"] == pytest.approx(2 / 4)
    assert least_k(z, claimed, z.argsort(1).argsort(1)) == 1


@pytest.mark.slow
def test_the_reach_needed_is_the_lists_own_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    # The rule holds for whatever was learned.
    short = OneClassConfig.preset("plain", hidden=16, least_steps=100)
    monkeypatch.setattr(crowds, "TRAINING", short)
    digits = load("digits")
    x, y = digits.floats().flatten(1), digits.label("digit")
    rows = groups([x[y == k][:24] for k in range(3)], {"pictures": 8, "least": 8})
    bank = crowded_bank(rows, {"chunk": 4})
    assert len(bank) == 9
    uploads = x[y == 4][:20]
    world = scored(bank, uploads)
    needed = world.needed(1.0)
    limits = bank.mu + bank.sigma
    listed = bank.shortlist
    assert listed is not None
    for reach in (0.0, 0.7, 2.0):
        listed.reach = reach
        for i, row in enumerate(uploads.split(1)):
            near = set(listed.near(row, limits).tolist())
            sure = (needed[i] - reach).abs() > 1e-3
            assert {int(j) for j in (needed[i] <= reach).nonzero()[:, 0] if sure[j]} <= near
            assert all(needed[i, j] <= reach or not sure[j] for j in near)


def test_a_table_ends_with_everybody_and_the_least_sufficient_reach_is_chosen() -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.rand(40, 12, generator=generator) * 6
    world = Scored(z, z + 1, torch.ones(12), torch.full((12,), 0.1), torch.ones(12))
    settings = {"reaches": [0.0, 1.0, math.inf], "nearest": [1, 12]}
    found = table(world, 2.0, settings)
    last = found["reach"][-1]
    assert (last["listed"], last["blocks"], last["decisions"], last["claims"]) == (1, 1, 1, 1)
    assert found["nearest"]["mean"][-1]["claims"] == 1
    assert found["k_for_goal"]["mean"] == 1
    rows = [{"decisions": 0.9}, {"decisions": 0.9995}, {"decisions": 1.0}]
    assert chosen_reach({"a": {"alphas": [{"reach": rows}]}}, [0.0, 1.0, 2.0]) == 1.0
