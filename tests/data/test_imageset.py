"""An image set cannot hold parts that disagree, and selecting keeps them together."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sfumato.data import MISSING, ImageSet
from sfumato.errors import DataError


def test_parts_that_disagree_are_refused(blobs: ImageSet) -> None:
    with pytest.raises(DataError, match="200 images but 1 file names"):
        replace(blobs, files=("one",))
    with pytest.raises(DataError, match=r"labels \['mood', 'person'\] but classes \['mood'\]"):
        replace(blobs, classes={"mood": ("low", "high")})
    for wrong in (1, MISSING - 1):
        labels = torch.full((200,), wrong)
        with pytest.raises(DataError, match=r"'x' has values outside 0\.\.0"):
            replace(blobs, labels={"x": labels}, classes={"x": ("a",)})


def test_positions_and_masks_select_images_with_labels_and_files(blobs: ImageSet) -> None:
    by_mask = blobs.subset(blobs.label("mood") == 1)
    by_place = blobs.subset((blobs.label("mood") == 1).nonzero().squeeze(1))
    assert (
        by_mask.fingerprint() == by_place.fingerprint() == blobs.where("mood", "high").fingerprint()
    )
    assert by_mask.files == tuple(f"blob{i}.png" for i in range(200) if i // 5 % 2)
    assert torch.equal(by_mask.label("person"), torch.arange(100) % 5)
    assert len(blobs.subset([])) == 0


def test_unknown_labels_and_values_list_those_there_are(blobs: ImageSet) -> None:
    with pytest.raises(DataError, match="has no label 'age'; it has: mood, person"):
        blobs.label("age")
    with pytest.raises(DataError, match="'mood' has no value 'calm'; it has: low, high"):
        blobs.where("mood", "calm")


def test_the_fingerprint_sees_pixels_and_labels(blobs: ImageSet) -> None:
    pixels = blobs.images.clone()
    pixels[7, 0, 0, 0] ^= 1
    mood = blobs.label("mood").clone()
    mood[3] = 1 - mood[3]
    changed = [
        replace(blobs, images=pixels),
        replace(blobs, labels={**blobs.labels, "mood": mood}),
        replace(blobs, classes={**blobs.classes, "mood": ("up", "down")}),
    ]
    assert len({blobs.fingerprint(), *(images.fingerprint() for images in changed)}) == 4
    assert replace(blobs, images=blobs.images.clone()).fingerprint() == blobs.fingerprint()


def test_floats_are_copies_in_the_unit_interval(blobs: ImageSet) -> None:
    floats = blobs.floats()
    assert torch.equal((floats * 255).round().byte(), blobs.images)
    floats.zero_()
    assert blobs.images.any()
