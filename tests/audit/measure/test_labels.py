"""Labels that tell nothing are refused before an audit trains anything."""

from __future__ import annotations

import pytest
import torch

from sfumato.attack.attributes import AttributeAttack
from sfumato.audit.measure.labels import check_labels, numbered_alike
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


def _named(*values: str, known: tuple[str, ...]) -> ImageSet:
    return ImageSet(
        name="named",
        images=torch.zeros(len(values), 1, 4, 4, dtype=torch.uint8),
        labels={"mood": torch.tensor([known.index(v) if v in known else MISSING for v in values])},
        classes={"mood": known},
    )


def test_sides_that_were_loaded_one_by_one_number_a_value_alike() -> None:
    """A folder without a value numbers those after it otherwise, and every guess was wrong."""
    victims = _named("sad", "angry", "", "happy", known=("angry", "happy", "sad"))
    adversary = _named("sad", "happy", "wild", "", known=("happy", "sad", "wild"))
    sides = numbered_alike(victims, adversary)
    assert [
        [side.classes["mood"][i] if i != MISSING else "" for i in side.label("mood").tolist()]
        for side in sides
    ] == [["sad", "angry", "", "happy"], ["sad", "happy", "wild", ""]]
    assert sides[0].classes == sides[1].classes
    assert sides[0].fingerprint() != victims.fingerprint()
    same = numbered_alike(victims, victims)
    assert [side.fingerprint() for side in same] == [victims.fingerprint()] * 2
