"""The release of a collection on disk by prototypes: looked at once, planned, then written.

What is kept of each picture in between is its similarity to the prototypes and its labels, so that
a collection may be larger than memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.data.lazy import FolderImages, LoadedImages
from sfumato.data.pixels import as_uint8, digests
from sfumato.errors import DataError
from sfumato.progress import Executor, track
from sfumato.protect.prototypes.anonymity import Seen
from sfumato.protect.prototypes.distance import nearest_original
from sfumato.protect.prototypes.model import PrototypeAnonymizer
from sfumato.protect.release.noise import drawn_generator


@dataclass(frozen=True, slots=True)
class _Part:
    """What a plan needs of some pictures."""

    positions: list[int]
    similar: Float[Tensor, "n prototypes"]
    digests: list[bytes]
    nearest: Float[Tensor, "prototypes"]
    labels: Mapping[str, list[int]]


@dataclass(frozen=True, slots=True)
class PlacedRelease:
    """A planned release: which prototype's picture stands for the picture at each position."""

    pictures: Float[Tensor, "prototypes c h w"]
    places: Mapping[int, int]
    standing: Mapping[str, Any]
    """The rule, and what the released records were counted to stand for, as JSON values."""

    def at(self, position: int) -> Float[Tensor, "1 c h w"]:
        """Return what is released for the picture at a position."""
        return self.pictures[self.places[position]][None]


def place_collection(
    made: PrototypeAnonymizer,
    images: FolderImages | LoadedImages,
    kept: Sequence[str],
    *,
    secret: bytes,
    batch_size: int,
    executor: Executor,
) -> PlacedRelease | None:
    """Plan the release of a whole collection; None where it has no usable picture.

    Raises:
        DataError: the collection cannot keep the rule, or lacks the private label.
    """
    if made.hides not in images.classes:
        known = ", ".join(sorted(images.classes)) or "none"
        raise DataError(
            f"{images.name} has no label {made.hides!r}, which {made.name} hides: a release needs "
            f"it of every picture, and does not carry it; the labels are: {known}"
        )
    batches = [
        range(start, min(start + batch_size, len(images)))
        for start in range(0, len(images), batch_size)
    ]
    look = partial(_look, made, images)
    parts = [
        found
        for found in track(executor(look, batches), f"plan {made.name}", total=len(batches))
        if found is not None
    ]
    return _planned(made, images, kept, parts, secret) if parts else None


def _look(
    made: PrototypeAnonymizer, images: FolderImages | LoadedImages, positions: Sequence[int]
) -> _Part | None:
    some = images.read(positions).pictures
    if not some:
        return None
    rows = torch.cat([picture.floats() for picture in some])
    return _Part(
        positions=[picture.position for picture in some],
        # One by one: sums of a batch are rounded otherwise than those of another.
        similar=torch.cat([made.similarities(row[None]) for row in rows]),
        digests=digests(as_uint8(rows)),
        nearest=nearest_original(made.pictures, rows),
        labels={name: [picture.labels[name] for picture in some] for name in images.classes},
    )


def _planned(
    made: PrototypeAnonymizer,
    images: FolderImages | LoadedImages,
    kept: Sequence[str],
    parts: Sequence[_Part],
    secret: bytes,
) -> PlacedRelease:
    nearest = torch.stack([part.nearest for part in parts]).amin(0)
    plan = made.plan(
        torch.cat([part.similar for part in parts]),
        Seen().first_of([digest for part in parts for digest in part.digests]),
        nearest,
        {
            name: torch.tensor([value for part in parts for value in part.labels[name]])
            for name in images.classes
        },
        images.classes,
        kept=kept,
        generator=drawn_generator(secret, b"plan"),
    )
    positions = [position for part in parts for position in part.positions]
    used = plan.index.unique()
    return PlacedRelease(
        made.pictures.cpu(),
        dict(zip(positions, plan.index.tolist(), strict=True)),
        {
            **plan.document(),
            "nearest_original": float(nearest[used].min()),
            "real_pictures": bool(made.guarantee.originals),
        },
    )
