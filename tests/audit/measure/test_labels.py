"""Labels that tell nothing are refused before an audit trains anything."""

from __future__ import annotations

import pytest
import torch

from sfumato.attack.attributes import AttributeAttack
from sfumato.audit.measure.labels import check_labels
from sfumato.data.imageset import MISSING, ImageSet
from sfumato.errors import DataError


@pytest.mark.parametrize("values", [0, MISSING])
def test_a_label_needs_two_values_on_either_side(blobs: ImageSet, values: int) -> None:
    flat = ImageSet(
        name="flat",
        images=blobs.images,
        labels={**blobs.labels, "mood": torch.full((len(blobs),), values)},
        classes=blobs.classes,
    )
    check_labels([blobs, blobs], ["mood"], [])
    check_labels([flat, blobs], ["person"], [])
    for sides in ([flat, blobs], [blobs, flat]):
        with pytest.raises(DataError, match="flat: 'mood' needs two values at least"):
            check_labels(sides, ["mood"], [])
        with pytest.raises(DataError, match="its labels are: mood, person"):
            check_labels(sides, [], [AttributeAttack(attributes=("mood",))])
