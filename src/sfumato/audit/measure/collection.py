"""A protector as it releases the collection that an audit looks at."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sfumato.data.imageset import ImageSet
from sfumato.types import CollectionProtector, Protector


def of_collection(
    protector: Protector, sides: Sequence[ImageSet], kept: Sequence[str], *, seed: int = 0
) -> Protector:
    """Return what releases all sides as one collection, with the kept labels.

    Their owner releases what the adversary knows and what they attack together. A protector of
    single pictures is returned as it is.

    Raises:
        DataError: the collection cannot be released: see the protector's `for_collection`.
    """
    if not isinstance(protector, CollectionProtector):
        return protector
    first = sides[0]
    return protector.for_collection(
        torch.cat([side.floats() for side in sides]),
        {name: torch.cat([side.label(name) for side in sides]) for name in first.labels},
        first.classes,
        kept=kept,
        seed=seed,
    )
