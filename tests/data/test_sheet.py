"""Contact sheets hold every picture, pixel for pixel."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sfumato.data import MISSING, ImageSet, decode_image
from sfumato.data.sheet import captions_of, choose, contact_sheet
from sfumato.errors import DataError


def test_pictures_stand_in_rows_enlarged_by_whole_factors(blobs: ImageSet) -> None:
    sheet = decode_image(contact_sheet(blobs.images[:5], columns=3, side=24))
    assert sheet.shape == (3, 2 * 30 + 6, 3 * 30 + 6)
    second = sheet[0, 6:30, 36:60]
    assert torch.equal(second[::3, ::3], blobs.images[1, 0])


def test_captions_are_written_cut_and_dashed(blobs: ImageSet) -> None:
    captions = captions_of(blobs, ["person", "mood"])
    assert captions[:3] == ["a low", "b low", "c low"]
    unlabelled = ImageSet(
        name="x",
        images=blobs.images[:2],
        labels={"p": torch.tensor([-1, 0])},
        classes={"p": ("a" * 99,)},
    )
    assert captions_of(unlabelled, ["p"])[0] == "-"
    bare = decode_image(contact_sheet(unlabelled.images))
    written = decode_image(contact_sheet(unlabelled.images, captions_of(unlabelled, ["p"])))
    assert written.shape[1] > bare.shape[1]
    assert written.shape[2] == bare.shape[2]


def test_nothing_to_show_is_an_error(blobs: ImageSet) -> None:
    with pytest.raises(DataError, match="got 0 pictures"):
        contact_sheet(blobs.images[:0])
    with pytest.raises(DataError, match="a caption each"):
        contact_sheet(blobs.images[:2], ["one"])


def test_a_label_that_no_image_has_groups_nothing(blobs: ImageSet) -> None:
    """So are the tests of many published sets: their labels are kept back."""
    hidden = replace(blobs, labels={**blobs.labels, "mood": torch.full((len(blobs),), MISSING)})
    with pytest.raises(DataError, match="no image has a 'mood'"):
        choose(hidden, 5, by="mood", seed=0)
    assert len(choose(hidden, 5, by=None, seed=0)) == 5
