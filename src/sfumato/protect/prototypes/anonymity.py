"""What prototypes stand for, counted, and held against the rule of `rule`.

It is counted, not trained: for each prototype, how many pictures it stands for, of how many
private values, and which share of them the most frequent value has. Equal pictures count once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from sfumato.data.pixels import as_uint8, digests
from sfumato.protect.prototypes.rule import Anonymity

_FIGURES = (
    *("k", "values", "share", "released", "fewest_pictures", "fewest_values", "largest_share"),
    *("nearest_original", "closest_allowed"),
)


@dataclass(frozen=True, slots=True)
class Standing:
    """What each prototype stands for, counted."""

    released: Int64[Tensor, "prototypes"]
    """How often it is released, for pictures that equal an earlier one as well."""
    pictures: Int64[Tensor, "prototypes"]
    """Different pictures that it stands for."""
    values: Int64[Tensor, "prototypes"]
    shares: Float[Tensor, "prototypes"]
    """Of the most frequent private value; 0 where a prototype stands for nothing."""

    @property
    def used(self) -> Int64[Tensor, "m"]:
        """The prototypes that are released at all."""
        return self.released.nonzero().squeeze(1)

    def broken(self, rule: Anonymity) -> Int64[Tensor, "m"]:
        """Return the used prototypes that break a settled rule."""
        assert rule.values is not None and rule.share is not None  # noqa: S101, PT018
        few = (self.pictures < rule.k) | (self.values < rule.values)
        # Shares are quotients of counts: a half is a half, whatever its last bit.
        bad = (few | (self.shares > rule.share + 1e-6)) & (self.released > 0)
        return bad.nonzero().squeeze(1)

    def document(self) -> dict[str, Any]:
        """Return the least and the largest over the used prototypes, as JSON values."""
        used = self.used
        return {
            "released": len(used),
            "fewest_pictures": int(self.pictures[used].min()) if len(used) else 0,
            "fewest_values": int(self.values[used].min()) if len(used) else 0,
            "largest_share": float(self.shares[used].max()) if len(used) else 0.0,
        }


def count_standing(
    index: Int64[Tensor, "n"],
    private: Int64[Tensor, "n"],
    prototypes: int,
    *,
    first: Bool[Tensor, "n"] | None = None,
) -> Standing:
    """Count what prototypes stand for.

    `index` is each picture's prototype, `private` its private value (from 0), and `first` which
    pictures count: False for one that equals an earlier picture.
    """
    released = torch.bincount(index, minlength=prototypes)
    if first is not None:
        index, private = index[first], private[first]
    values = int(private.max()) + 1 if len(private) else 1
    table = torch.zeros(prototypes, values, dtype=torch.int64)
    table.index_put_((index, private), torch.ones_like(index), accumulate=True)
    pictures = table.sum(1)
    return Standing(
        released=released,
        pictures=pictures,
        values=(table > 0).sum(1),
        shares=table.amax(1) / pictures.clamp(min=1),
    )


def check_standing(standing: Mapping[str, Any]) -> Anonymity:
    """Check what an artifact's config says that its pictures stand for; return the rule.

    Raises:
        ValueError: a figure is missing or no finite number.
    """
    for name in _FIGURES:
        value = standing[name]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"standing: {name} must be a number, got {value!r}")
        if not math.isfinite(value):
            raise ValueError(f"standing: {name} must be finite, got {value!r}")
    if not isinstance(standing["real_pictures"], bool):
        raise ValueError("standing: real_pictures must be true or false")
    rule = standing["rule"]
    return Anonymity(k=rule["k"], values=rule["values"], share=rule["share"])


class Seen:
    """Remembers pictures by a digest, so that equal ones count once."""

    def __init__(self) -> None:
        self._digests: set[bytes] = set()

    def first(self, images: Float[Tensor, "n c h w"]) -> Bool[Tensor, "n"]:
        """Say of each picture whether no earlier one is equal to it, rounded to 8 bits."""
        return self.first_of(digests(as_uint8(images)))

    def first_of(self, keys: Sequence[bytes]) -> Bool[Tensor, "n"]:
        """Say the same of pictures that are given by their digests."""
        found = []
        for digest in keys:
            found.append(digest not in self._digests)
            self._digests.add(digest)
        return torch.tensor(found, dtype=torch.bool)
