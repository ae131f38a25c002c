"""The labels that an audit reads, looked at before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence

from sfumato.data.imageset import MISSING, ImageSet
from sfumato.errors import DataError
from sfumato.types import Attack


def check_labels(
    sides: Sequence[ImageSet], named: Sequence[str], attacks: Sequence[Attack]
) -> None:
    """Find out whether every label that is read exists and has two values on both sides.

    `named` are the private and utility labels; what attacks read is asked of them. Membership is
    left out: where its label is missing, its cell says so.

    Raises:
        DataError: a label does not exist (the message lists those that do), or has one value only.
    """
    wanted = dict.fromkeys([*named, *(name for attack in attacks for name in attack.reads())])
    for name in wanted:
        for side in sides:
            values = side.label(name)
            count = len(values[values != MISSING].unique())
            if count < 2:
                known = ", ".join(sorted(side.labels))
                raise DataError(
                    f"{side.name}: {name!r} needs two values at least on either side of an audit, "
                    f"got {count} among {len(side):,} images; its labels are: {known}"
                )
