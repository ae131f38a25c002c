"""Splits are disjoint, and what is kept keeps its labels."""

from __future__ import annotations

import pytest
import torch

from sfumato.data import ImageSet, shuffled, split_groups, split_images, with_at_least
from sfumato.errors import ConfigError, DataError


def test_parts_share_no_image_and_no_group(blobs: ImageSet) -> None:
    first, second = split_images(blobs, [0.5, 0.3], seed=1)
    assert (len(first), len(second)) == (100, 60)
    assert not set(first.files) & set(second.files)
    left, right = split_groups(blobs, "person", [0.6, 0.4], seed=1)
    assert not set(left.label("person").tolist()) & set(right.label("person").tolist())
    assert len(left) + len(right) == len(blobs)


def test_shuffled_has_the_same_images_in_an_order_that_the_seed_decides(blobs: ImageSet) -> None:
    first, again, other = (shuffled(blobs, seed=seed) for seed in (1, 1, 2))
    assert set(first.files) == set(blobs.files)
    assert first.files == again.files != other.files != blobs.files
    rows = [blobs.files.index(file) for file in first.files]
    assert torch.equal(first.images, blobs.images[rows])
    assert torch.equal(first.label("person"), blobs.label("person")[rows])


def test_fractions_must_be_possible(blobs: ImageSet) -> None:
    for fractions in ([], [0.5, 0.6], [0.0, 1.0]):
        with pytest.raises(ConfigError, match="must be positive"):
            split_images(blobs, fractions, seed=0)


def test_rare_values_are_dropped_and_the_rest_renumbered(blobs: ImageSet) -> None:
    rare = blobs.subset(torch.tensor([0, 5, 10, 1, 2, 7, 12, 4]))  # a a a b c c c e
    kept = with_at_least(rare, "person", 3)
    assert kept.classes["person"] == ("a", "c")
    assert kept.label("person").tolist() == [0, 0, 0, 1, 1, 1]
    assert kept.files == tuple(f"blob{i}.png" for i in (0, 5, 10, 2, 7, 12))
    with pytest.raises(DataError, match="no person has 4 images; the largest has 3"):
        with_at_least(rare, "person", 4)
