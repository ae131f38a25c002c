"""Each adversary takes the kind that works on its victim: chosen blindly, or known."""

from __future__ import annotations

import pytest
import torch

from sfumato.attack.on_filter.responding import chosen, hold_out, matrix_of, response, taken

PAIRS = [(0, 1), (1, 0), (2, 0)]
NAMES = ["plain", "sly"]


def test_the_held_out_choice_picks_per_pair_and_ties_go_to_the_kind_that_does_better() -> None:
    tried = torch.tensor([[0.5, 0.2, 0.0], [0.1, 0.3, 0.0]])
    assert chosen(tried).tolist() == [0, 1, 0]
    assert chosen(torch.tensor([[0.0, 0.0], [0.0, 0.4]])).tolist() == [1, 1]


def test_a_kind_is_not_chosen_by_what_judges_it() -> None:
    shared = torch.tensor([[0.9, 0.0, 0.2], [0.1, 0.6, 0.1]])
    wrong = torch.tensor([1, 0, 0])
    assert taken(shared, wrong).tolist() == pytest.approx([0.1, 0.0, 0.2])
    by_choice = response(shared, wrong, PAIRS, NAMES, 3)
    bound = response(shared, shared.argmax(0), PAIRS, NAMES, 3)
    assert by_choice.blocked == pytest.approx(0.9, abs=1e-4)
    assert bound.blocked == pytest.approx(1 - (0.9 + 0.6 + 0.2) / 3, abs=1e-4)
    assert (by_choice.worst, bound.worst) == (0.8, 0.1)
    assert (by_choice.under_90, bound.under_90) == (0.3333, 1.0)
    assert bound.kinds == {"plain": 2, "sly": 1}
    assert bound.matrix == ((-1.0, 0.1, -1.0), (0.4, -1.0, -1.0), (0.8, -1.0, -1.0))


def test_what_is_held_out_is_not_trained_on() -> None:
    x = torch.arange(12.0)[:, None]
    used, held = hold_out(x)
    assert torch.equal(torch.cat([used, held]), x)
    assert len(held) == 2
    assert [len(part) for part in hold_out(x[:3])] == [2, 1]


def test_a_matrix_has_the_pairs_where_they_belong() -> None:
    matrix = matrix_of(torch.tensor([0.25, 0.5]), [(1, 2), (0, 1)], 3)
    assert matrix == ((-1.0, 0.5, -1.0), (-1.0, -1.0, 0.25), (-1.0, -1.0, -1.0))
