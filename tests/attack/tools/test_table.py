from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.attack.tools.learners import LearnerConfig, train_all
from sfumato.attack.tools.table import class_table, learn_table


@given(st.integers(0, 1000), st.floats(0.1, 10))
def test_a_table_is_the_posterior_counted_by_hand(seed: int, smoothing: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    index = torch.randint(3, (30,), generator=generator)
    values = torch.randint(-1, 2, (30,), generator=generator)
    values[:2] = torch.tensor([0, 1])
    table = class_table(index, values, 3, 2, smoothing)
    known = [(int(i), int(v)) for i, v in zip(index, values, strict=True) if v >= 0]
    for cell in range(3):
        overall = (sum(i == cell for i, _ in known) + 1) / (len(known) + 3)
        likely = [
            (sum(pair == (cell, c) for pair in known) + smoothing * overall)
            / (sum(v == c for _, v in known) + smoothing)
            for c in range(2)
        ]
        for c in range(2):
            assert math.isclose(
                float(table[cell, c]), math.log(likely[c] / sum(likely)), abs_tol=1e-4
            )


def _held(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.arange(count * 4 // 5), torch.arange(count * 4 // 5, count)


def test_a_table_reads_what_repeats_and_passes_over_what_does_not() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(4, (400,), generator=generator)
    said = torch.where(torch.rand(400, generator=generator) < 0.8, truth, truth.flip(0))
    rows = torch.eye(4)[said]
    scores = learn_table(rows, {"who": truth}, _held(400))
    assert scores is not None
    assert float((scores(rows)["who"].argmax(1) == truth).float().mean()) > 0.75
    near = scores(rows + 0.01 * torch.randn(400, 4))["who"]
    torch.testing.assert_close(near, scores(rows)["who"])
    assert learn_table(torch.rand(400, 4), {"who": truth}, _held(400)) is None


def test_the_table_is_among_the_learners_where_it_can_be() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(3, (200,), generator=generator)
    config = LearnerConfig(restarts=1, epochs=2, device="cpu")
    names = [
        c.learner for c in train_all(torch.eye(3)[truth], {"x": truth}, _held(200), config, seed=0)
    ]
    assert names == ["probe", "perceptron", "trees", "table"]
    loose = train_all(torch.rand(200, 3), {"x": truth}, _held(200), config, seed=0)
    assert [c.learner for c in loose] == ["probe", "perceptron", "trees"]
    for candidate in loose:
        scores = candidate.scores(torch.rand(5, 3))["x"]
        assert scores.shape == (5, 3)
        torch.testing.assert_close(scores.exp().sum(1), torch.ones(5), atol=1e-3, rtol=0)
