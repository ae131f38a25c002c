"""Victims and adversary: two sides of one image set, and the proof that they share nothing."""

from __future__ import annotations

import hashlib

from sfumato.data.imageset import MISSING, ImageSet
from sfumato.data.splits import split_groups, split_images
from sfumato.errors import DataError

_HALVES = [0.5, 0.5]


def sides(
    images: ImageSet, identity: str | None = None, *, seed: int = 0
) -> tuple[ImageSet, ImageSet]:
    """Split a set into victims and adversary: by people where `identity` names them, else by image.

    Raises:
        DataError: a person is not named.
    """
    if identity is None:
        victims, adversary = split_images(images, _HALVES, seed=seed)
    else:
        victims, adversary = split_groups(images, identity, _HALVES, seed=seed)
    return victims, adversary


def check_disjoint(victims: ImageSet, adversary: ImageSet, identity: str | None) -> str:
    """Return in words how the two are disjoint: by people (`identity`), or by files.

    Without `identity` two images are the same if their files are, or, where there are no files,
    if their pixels are.

    Raises:
        DataError: they share a person or an image, or a person is not named.
    """
    if identity is not None:
        shared = _people(victims, identity) & _people(adversary, identity)
        what = f"no {identity} is on both sides"
    else:
        by_file = bool(victims.files and adversary.files)
        shared = _items(victims, by_file) & _items(adversary, by_file)
        what = "no file is on both sides" if by_file else "no picture is on both sides"
    if shared:
        examples = ", ".join(sorted(shared)[:3])
        raise DataError(
            f"the adversary has {len(shared)} of the victims' own ({examples}); split the set "
            "with sfumato.data.splits"
        )
    return what


def _people(images: ImageSet, identity: str) -> set[str]:
    values = images.label(identity)
    if bool((values == MISSING).any()):
        raise DataError(f"{images.name}: some images have no {identity!r}, so nothing is proved")
    return {images.classes[identity][i] for i in values.unique().tolist()}


def _items(images: ImageSet, by_file: bool) -> set[str]:
    if by_file:
        return set(images.files)
    return {hashlib.sha256(row.numpy().tobytes()).hexdigest() for row in images.images}
