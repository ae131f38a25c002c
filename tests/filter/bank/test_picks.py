"""Picked rows are those that were asked for, wherever they lie and in whatever order."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.filter.bank import scoring
from sfumato.filter.bank.picks import Picks
from sfumato.filter.bank.segment import Segment

CPU = torch.device("cpu")
DIM, HIDDEN = 4, 2


def numbered(counts: list[int]) -> list[Segment]:
    """Segments whose rows say where they lie in all: in mu, and in every weight."""
    made, start = [], 0
    for count in counts:
        segment = Segment.empty(count + 2, DIM, HIDDEN, torch.float32)
        for tensor in segment.tensors.values():
            rows = torch.arange(start, start + len(tensor)).float()
            tensor.copy_(rows.view(-1, *[1] * (tensor.ndim - 1)).expand_as(tensor))
        segment.count = count
        made.append(segment)
        start += count
    return made


@given(counts=st.lists(st.integers(1, 5), min_size=1, max_size=6), data=st.data())
def test_each_row_comes_once_for_each_time_it_is_asked(
    counts: list[int], data: st.DataObject
) -> None:
    rows = torch.tensor(data.draw(st.lists(st.integers(0, sum(counts) - 1), max_size=20))).long()
    most = data.draw(st.sampled_from([1, 2, 3, 100]))
    picks = Picks.of(numbered(counts), rows, CPU)
    assert picks.column("mu").tolist() == rows.tolist()
    found = torch.full((len(rows),), -1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "_TILE_WEIGHTS", most * DIM * HIDDEN)
        for pieces, columns in picks.tiles():
            assert 0 < len(columns) <= most
            found[columns] = scoring.picked(pieces).encoder_bias[:, 0].clone()
    assert found.tolist() == rows.tolist()


def test_a_bank_without_segments_has_nothing_to_pick() -> None:
    picks = Picks.of([], torch.empty(0).long(), CPU)
    assert len(picks.column("mu")) == 0
    assert list(picks.tiles()) == []
