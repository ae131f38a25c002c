"""The release of one collection by prototypes: planned as a whole, and counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from sfumato.data.imageset import MISSING
from sfumato.errors import DataError
from sfumato.protect.prototypes_anonymity import Anonymity, Standing, digests
from sfumato.protect.prototypes_plan import plan_release, standing_within
from sfumato.types import Labels, Protector

Images = Float[Tensor, "n c h w"]


@dataclass(frozen=True, slots=True)
class Plan:
    """Which prototype stands for each picture of a collection, and what each released record is.

    A record is a picture with its kept labels: both leave the owner together.
    """

    index: Int64[Tensor, "n"]
    standing: Standing
    rule: Anonymity

    def document(self) -> dict[str, Any]:
        """Return the rule and what was counted, as JSON values."""
        rule = {"k": self.rule.k, "values": self.rule.values, "share": self.rule.share}
        return rule | self.standing.document()


def plan_collection(
    similar: Float[Tensor, "n prototypes"],
    counted: Bool[Tensor, "n"],
    labels: Labels,
    classes: Mapping[str, Sequence[str]],
    *,
    hides: str,
    kept: Sequence[str],
    rule: Anonymity,
    seed: int,
) -> Plan:
    """Plan a collection by its pictures' similarities to the prototypes and by its labels.

    `counted` is False of a picture that equals an earlier one, `hides` the private label, `kept`
    the labels that are released along with the pictures.

    Raises:
        DataError: a picture has no private label, all have the same, or not even one prototype can
            keep the rule within some combination of kept labels.
    """
    private = _private(labels, hides)
    combinations, names = _combinations(labels, classes, kept, len(similar))
    settled = rule.settled(int(private.max()) + 1)
    index = plan_release(
        similar,
        private,
        combinations,
        settled,
        names=names,
        counted=counted,
        allowed=torch.ones(similar.shape[1], dtype=torch.bool),
        seed=seed,
    )
    standing = standing_within(index, private, combinations, counted, similar.shape[1])
    return Plan(index, standing, settled)


def _private(labels: Labels, hides: str) -> Int64[Tensor, "n"]:
    values = labels.get(hides)
    missing = None if values is None else int((values == MISSING).sum())
    if values is None or missing:
        got = "there is no such label" if values is None else f"{missing:,} pictures have none"
        raise DataError(
            f"expected the label {hides!r} of every picture, so that everybody's use the released "
            f"pictures alike; {got}; add it to metadata.csv (it does not leave with the release)"
        )
    numbered: Tensor = values.unique(return_inverse=True)[1]
    return numbered


def _combinations(
    labels: Labels, classes: Mapping[str, Sequence[str]], kept: Sequence[str], count: int
) -> tuple[Int64[Tensor, "n"], list[str]]:
    """Number the combinations of kept labels that occur, and say each in words."""
    if not kept:
        return torch.zeros(count, dtype=torch.int64), ["the collection"]
    table = torch.stack([labels[name] for name in kept], 1)
    found, index = table.unique(dim=0, return_inverse=True)
    names = [
        "the pictures that keep "
        + ", ".join(
            f"{name} {'(none)' if value == MISSING else classes[name][value]!r}"
            for name, value in zip(kept, row, strict=True)
        )
        for row in found.tolist()
    ]
    return index, names


@dataclass(frozen=True, slots=True)
class PlannedRelease:
    """A protector for the pictures of one planned collection.

    Other pictures, which only an adversary would ask for, get what `single` releases for them.
    """

    name: str
    places: Mapping[bytes, int]
    """Which released picture stands for an original, by the original's digest."""
    pictures: Float[Tensor, "prototypes c h w"]
    single: Protector

    def release(self, images: Images) -> Images:
        """Return what is released for each picture."""
        released = self.single.release(images)
        for i, digest in enumerate(digests(images)):
            place = self.places.get(digest)
            if place is not None:
                released[i] = self.pictures[place]
        return released
