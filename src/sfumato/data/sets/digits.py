"""`digits`: 1,797 real handwritten digits of 8x8 pixels, inside scikit-learn's package."""

from __future__ import annotations

from pathlib import Path

import torch

from sfumato.data.assemble import conform, no_split, pick
from sfumato.data.imageset import ImageSet
from sfumato.data.options import SourceOptions

_TOP = 16  # the set's brightest value: each pixel counts the set dots of a 4x4 block


def load_digits(options: SourceOptions) -> ImageSet:
    """Return the digits, 0-16 scaled to 0-255, with label `digit`. They have no splits."""
    from sklearn.datasets import load_digits as read  # imports SciPy: half a second

    no_split("digits", options)
    bunch = read()
    index = pick(len(bunch.images), options, "digits")
    values = torch.from_numpy(bunch.images[index])
    return ImageSet(
        name="digits",
        images=conform((values * 255 / _TOP).round().to(torch.uint8).unsqueeze(1), options),
        labels={"digit": torch.from_numpy(bunch.target[index]).long()},
        classes={"digit": tuple("0123456789")},
    )


def digits_splits(_: Path | None) -> tuple[str, ...]:
    """Return the splits that can be loaded."""
    return ("all",)
