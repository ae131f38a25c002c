"""The release of one collection by prototypes: planned as a whole, and counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from sfumato.data.imageset import MISSING
from sfumato.data.pixels import as_uint8, digests
from sfumato.errors import DataError
from sfumato.protect.prototypes.anonymity import Standing
from sfumato.protect.prototypes.plan import plan_release, standing_within
from sfumato.protect.prototypes.rule import Anonymity
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
    allowed: Bool[Tensor, "prototypes"],
    generator: torch.Generator,
) -> Plan:
    """Plan a collection by its pictures' similarities to the prototypes and by its labels.

    `counted` is False of a picture that equals an earlier one, `hides` the private label, `kept`
    the labels that are released along with the pictures, `allowed` the prototypes to choose from.

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
        allowed=allowed,
        generator=generator,
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
class PlannedRelease(Protector):
    """A protector for the pictures of one planned collection, told by their content.

    Other pictures, which only an adversary would ask for, get what `single` releases for them.
    """

    name: str
    places: Mapping[bytes, Sequence[int]]
    """Which released pictures stand for the originals with a digest, one for each of them."""
    pictures: Float[Tensor, "prototypes c h w"]
    single: Protector

    @classmethod
    def of(
        cls, plan: Plan, keys: Sequence[bytes], pictures: Images, single: Protector
    ) -> PlannedRelease:
        """Return the release of a plan, given the digests of the collection's pictures."""
        places: dict[bytes, list[int]] = {}
        for digest, place in zip(keys, plan.index.tolist(), strict=True):
            places.setdefault(digest, []).append(place)
        return cls(single.name, places, pictures, single)

    def release(self, images: Images) -> Images:
        """Return what is released for each picture; equal ones take turns as in the plan."""
        released = self.single.release(images)
        turns: dict[bytes, int] = {}
        for i, digest in enumerate(digests(as_uint8(images))):
            places = self.places.get(digest)
            if places is not None:
                turn = turns.setdefault(digest, i)
                turns[digest] = turn + 1
                released[i] = self.pictures[places[turn % len(places)]]
        return released
