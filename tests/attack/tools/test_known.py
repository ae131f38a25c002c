"""Labels that leave with a release: joined to its numbers, and what they say alone."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.attack.tools.known import Known
from sfumato.data.imageset import MISSING
from sfumato.errors import DataError

LABELS = {"mood": torch.tensor([0, 2, 1]), "age": torch.tensor([1, 0, MISSING])}
COLUMNS = [[1, 0, 0, 0, 1], [0, 0, 1, 1, 0], [0, 1, 0, 0, 0]]


def test_each_class_is_a_column_and_what_is_not_known_has_none() -> None:
    known = Known.of(["mood", "age"], LABELS)
    assert known.sizes == {"mood": 3, "age": 2}
    assert known.columns(LABELS).tolist() == COLUMNS
    unseen = {"mood": torch.tensor([3]), "age": torch.tensor([7])}
    assert known.columns(unseen).tolist() == [[0] * 5]
    with pytest.raises(DataError, match="no label 'hair' to know; there is: age, mood"):
        Known.of(["hair"], LABELS)
    with pytest.raises(DataError, match="there is: none"):
        Known.of(["hair"], {})


def test_numbers_get_columns_and_pictures_get_planes() -> None:
    known = Known.of(["mood", "age"], LABELS)
    pictures = torch.rand(3, 2, 4, 6)
    joined = known.joined(pictures, LABELS)
    assert joined.shape == (3, 7, 4, 6)
    assert torch.equal(joined[:, :2], pictures)
    for row, planes in zip(COLUMNS, joined[:, 2:], strict=True):
        assert [plane.unique().tolist() for plane in planes] == [[value] for value in row]
    rows = torch.rand(3, 2, 2)
    wide = known.joined(rows, LABELS)
    assert torch.equal(wide[:, :4], rows.flatten(1))
    assert wide[:, 4:].tolist() == COLUMNS
    assert Known.of([], LABELS).joined(rows, LABELS) is rows


@given(st.integers(0, 1000))
def test_what_known_labels_say_alone_is_counted(seed: int) -> None:
    """By hand: of each class one of ten values of the known labels, with one row of doubt."""
    draw = torch.Generator().manual_seed(seed)
    own = {"mood": torch.randint(3, (40,), generator=draw), "who": torch.arange(40) % 2}
    hidden = {"mood": torch.tensor([0, 1, 2]), "who": torch.zeros(3, dtype=torch.int64)}
    own["mood"][:3] = torch.arange(3)
    found = Known.of(["mood"], own).alone(own, hidden, "who")
    for value in range(3):
        overall = (int((own["mood"] == value).sum()) + 1) / (40 + 3)
        likely = [
            (int(((own["mood"] == value) & (own["who"] == c)).sum()) + overall) / (20 + 1)
            for c in range(2)
        ]
        expected = [math.log(one / sum(likely)) for one in likely]
        assert found[value].tolist() == pytest.approx(expected, abs=1e-4)
