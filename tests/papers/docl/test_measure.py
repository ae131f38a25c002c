"""The paper's figures of merit against slow, obvious counts."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from papers.docl.measure import acceptance, by_classes, errors_of, overall, per_class
from papers.docl.worlds import World
from sfumato.filter.oneclass import OneClassConfig


def drawn(users: int, rows: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    truth = torch.arange(rows) % users
    errors = torch.rand(rows, users, generator=generator)
    return errors - 0.3 * torch.nn.functional.one_hot(truth, users), truth


@given(users=st.integers(2, 6), seed=st.integers(0, 50))
@settings(deadline=None, max_examples=20)
def test_accuracies_equal_a_count(users: int, seed: int) -> None:
    errors, truth = drawn(users, 12 * users, seed)
    hits = [row.index(min(row)) == int(c) for row, c in zip(errors.tolist(), truth, strict=True)]
    assert overall(errors, truth) == pytest.approx(sum(hits) / len(hits))
    assert sum(per_class(errors, truth)) / users == pytest.approx(overall(errors, truth))


def test_the_accuracy_among_k_classes_is_the_mean_over_all_choices() -> None:
    users, seed = 5, 3
    errors, truth = drawn(users, 60, seed)
    found = by_classes(errors, truth, (1, 3, 5))
    assert found["1"] == [1.0] * users
    assert found["5"] == pytest.approx(per_class(errors, truth))
    for c in range(users):
        own = errors[truth == c].tolist()
        hits = [
            row[c] <= min(row[a], row[b])
            for a, b in combinations([o for o in range(users) if o != c], 2)
            for row in own
        ]
        assert found["3"][c] == pytest.approx(sum(hits) / len(hits))


def test_a_wider_interval_holds_back_more_and_accepts_less() -> None:
    own, truth = drawn(4, 80, 0)
    foreign, _ = drawn(4, 50, 1)
    mu, sigma = torch.full((4,), 0.3), torch.full((4,), 0.1)
    rows = acceptance(own, truth, foreign + 0.2, mu, sigma, [0.5, 1.0, 2.0, 50.0])
    for rule in ("paper", "claim"):
        held = [row[f"{rule}_accuracy"] for row in rows]
        accepted = [row[f"{rule}_accepted"] for row in rows]
        assert held == sorted(held)
        assert accepted == sorted(accepted, reverse=True)
    assert rows[-1]["paper_accuracy"] == pytest.approx(overall(own, truth))
    assert rows[-1]["claim_accuracy"] == 1.0
    assert rows[-1]["paper_accepted"] == rows[-1]["claim_accepted"] == 0.0


def test_a_world_enrolls_its_classes_and_tells_them_apart() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = torch.rand(3, 1, 20, generator=generator)
    rows = (centres + 0.1 * torch.randn(3, 60, 20, generator=generator)).clamp(0, 1)
    world = World(list(rows[:, :40]), list(rows[:, 40:]))
    config = OneClassConfig.preset("plain", hidden=4, epochs=60, batch_size=16)
    users = world.enrolled(config, calibration="training", seed=0)
    errors, truth = errors_of(users, world.tests)
    assert errors.shape == (60, 3)
    assert overall(errors, truth) > 0.95
