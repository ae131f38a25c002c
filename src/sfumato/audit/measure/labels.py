"""The labels that an audit reads, looked at before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

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


def numbered_alike(victims: ImageSet, adversary: ImageSet) -> tuple[ImageSet, ImageSet]:
    """Return both sides with one number for each value of a label that both have.

    Labels are numbers into a set's own values. Two folders that were loaded one by one may number
    the same value in two ways, and attacks compare numbers.
    """
    shared = victims.classes.keys() & adversary.classes.keys()
    every = {
        name: tuple(dict.fromkeys((*victims.classes[name], *adversary.classes[name])))
        for name in shared
        if victims.classes[name] != adversary.classes[name]
    }
    return _numbered(victims, every), _numbered(adversary, every)


def _numbered(images: ImageSet, every: Mapping[str, tuple[str, ...]]) -> ImageSet:
    """Return a set whose labels are numbers into these values, which hold its own."""
    labels = dict(images.labels)
    for name, values in every.items():
        place = {value: i for i, value in enumerate(values)}
        # The last entry is for MISSING, the position -1.
        table = torch.tensor([*(place[value] for value in images.classes[name]), MISSING])
        labels[name] = table[images.labels[name]]
    return replace(images, labels=labels, classes={**images.classes, **every})
