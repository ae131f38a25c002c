"""What must hold of a private label before anything can be trained to hide it."""

from __future__ import annotations

from jaxtyping import Int64
from torch import Tensor

from sfumato.data.imageset import MISSING, ImageSet
from sfumato.errors import ConfigError, DataError


def private_labels(images: ImageSet, private: str, *, target: str | None = None) -> Tensor:
    """Return the private label of every image, numbered as the set's classes are.

    Raises:
        DataError: there is no such label, an image has none, only one value occurs, or `target` is
            not a value that occurs.
    """
    labels: Int64[Tensor, "n"] = images.label(private)
    missing = int((labels == MISSING).sum())
    if missing:
        raise DataError(
            f"{images.name}: {missing:,} of {len(images):,} images have no {private!r}; a label "
            "cannot be hidden where it is not known: label them or leave them out"
        )
    if len(labels.unique()) < 2:
        raise DataError(
            f"{images.name}: {private!r} has one value only, so there is nothing to hide"
        )
    if target is not None and not len(images.where(private, target)):
        raise DataError(f"{images.name}: no image has {private} {target!r}; choose another target")
    return labels


def refuse_same(private: str, utility: str) -> None:
    """Raise a ConfigError where one label is to be hidden and to stay readable."""
    if private == utility:
        raise ConfigError(
            f"`private` and `utility` are both {private!r}: one label cannot be hidden and stay "
            "readable"
        )
