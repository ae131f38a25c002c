"""The imbalance recipe: same pictures for both sides, and a cost that counts imbalance alone."""

from __future__ import annotations

import pytest
import torch

from papers.docl.imbalance import Tried, summary
from papers.docl.rival import Lesson, recalls, train_rival


def lesson(sizes: tuple[int, ...], views: tuple[int, ...], seed: int = 0) -> Lesson:
    """Classes as clouds around distant points; class c's pictures have `views[c]` views each."""
    generator = torch.Generator().manual_seed(seed)
    middle = 4 * torch.eye(len(sizes), 6)
    return Lesson.of(
        [
            middle[c] + torch.randn(n, v, 6, generator=generator)
            for c, (n, v) in enumerate(zip(sizes, views, strict=True))
        ]
    )


def test_every_picture_is_drawn_as_often_however_many_views_it_has() -> None:
    taught = lesson((3, 2), (1, 4))
    assert taught.views.tolist() == [1, 1, 1, 4, 4]
    assert taught.first.tolist() == [0, 1, 2, 3, 7]
    assert taught.shares.tolist() == pytest.approx([0.6, 0.4])
    torch.manual_seed(0)
    drawn = taught.drawn(torch.full((400,), 4))
    found = {int((taught.rows == row).all(1).nonzero()[0, 0]) for row in drawn}
    assert found == {7, 8, 9, 10}, "all views of the last picture, and no other's"


def test_recalls_by_hand() -> None:
    values = torch.tensor([[2.0, 1.0], [0.0, 1.0], [0.0, 3.0], [1.0, 0.0]])
    assert recalls(values, torch.tensor([0, 0, 1, 1])).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("weighted", [False, True])
def test_the_rival_learns_a_small_class_too(weighted: bool) -> None:
    taught, held, tests = (
        lesson(sizes, (1, 1), seed) for seed, sizes in enumerate([(300, 6), (40, 40), (400, 400)])
    )
    net = train_rival(taught, (held.rows, held.labels), weighted=weighted, seed=0)
    with torch.no_grad():
        found = recalls(net(tests.rows), tests.labels)
    assert found.mean() > 0.9
    assert found[1] > 0.8


def test_the_cost_is_zero_where_each_class_does_as_well_as_among_its_own_size() -> None:
    few, many = torch.tensor([0.6, 0.7]), torch.tensor([0.9, 0.8])
    alike = {5: {"way": Tried("a", few, few)}, 50: {"way": Tried("a", many, many)}}
    kept = Tried("b", few, torch.tensor([0.6, 0.8]))
    worse = Tried("c", few, torch.tensor([0.4, 0.9]))
    found = summary("way", [([0], (5, 50), {"way": kept})], alike)
    assert found["cost"] == found["cost_of_small"] == pytest.approx(0)
    assert (found["small"], found["large"]) == pytest.approx((0.6, 0.8))
    found = summary("way", [([0], (5, 50), {"way": worse})], alike)
    assert found["cost"] == pytest.approx((0.2 - 0.1) / 2)
    assert found["cost_of_small"] == pytest.approx(0.2)
    assert found["settings"] == ["c"]
