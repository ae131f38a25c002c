"""What prototypes show after the training: means that keep the rule, or real pictures of a target.

A prototype that cannot keep the rule is dropped, and its pictures go to others.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from sfumato.data.pixels import as_uint8
from sfumato.errors import DataError
from sfumato.protect.prototypes.anonymity import Seen, count_standing
from sfumato.protect.prototypes.distance import closest_allowed, nearest_original
from sfumato.protect.prototypes.model import PrototypeAnonymizer
from sfumato.protect.prototypes.plan import plan_release
from sfumato.protect.prototypes.rule import Anonymity

Images = Float[Tensor, "n c h w"]
Pictures = Float[Tensor, "prototypes c h w"]


@dataclass(frozen=True, slots=True)
class Collection:
    """The pictures that prototypes are made from, and the rule for them."""

    rows: Images
    values: Int64[Tensor, "n"]
    """Private values, from 0."""
    counted: Bool[Tensor, "n"]
    """False of a picture that equals an earlier one."""
    asked: Anonymity
    """The rule as it was asked for."""
    rule: Anonymity
    """The same, settled for as many private values as there are."""

    @classmethod
    def of(cls, rows: Images, values: Int64[Tensor, "n"], rule: Anonymity) -> Collection:
        """Count a collection.

        Raises:
            DataError: there are too few different pictures for two prototypes.
            ConfigError: the rule asks for more private values than there are.
        """
        settled = rule.settled(int(values.max()) + 1)
        found = cls(rows, values, Seen().first(rows), rule, settled)
        if found.most < 2:
            raise DataError(
                f"expected at least {2 * rule.k} different pictures, {rule.k} for each of two "
                f"prototypes, got {int(found.counted.sum())}; add pictures or ask for a smaller k"
            )
        return found

    @property
    def most(self) -> int:
        """Prototypes that there are enough different pictures for."""
        return int(self.counted.sum()) // self.rule.k


def settle_pictures(
    made: PrototypeAnonymizer, collection: Collection, *, shown: Images | None, seed: int
) -> PrototypeAnonymizer:
    """Return the anonymiser with the prototypes that keep the rule, and their pictures.

    `shown` are the target's pictures, of which each prototype takes the most similar one.

    Raises:
        DataError: fewer than two prototypes can keep the rule.
    """
    similar = made.similarities(collection.rows)
    allowed = torch.ones(similar.shape[1], dtype=torch.bool)
    closest = closest_allowed(collection.rows[collection.counted], collection.rule.k, seed=seed)
    while True:
        index = _assigned(similar, collection, allowed, seed)
        used = index.unique()
        if len(used) < 2:
            raise DataError(_too_few(collection, closest))
        means = mean_pictures(index, collection, len(allowed))[used]
        distances = nearest_original(means, collection.rows)
        if shown is not None or float(distances.min()) >= closest:
            break
        allowed[used[distances.argmin()]] = False
    pictures = means if shown is None else shown[made.similarities(shown)[:, used].argmax(0)]
    standing = count_standing(index, collection.values, len(allowed), first=collection.counted)
    about = {
        "rule": asdict(collection.asked),
        "k": collection.rule.k,
        "values": collection.rule.values,
        "share": collection.rule.share,
        **standing.document(),
        "nearest_original": float(nearest_original(pictures, collection.rows).min()),
        "closest_allowed": closest,
        "real_pictures": shown is not None,
    }
    return made.with_pictures(used, pictures, about)


def mean_pictures(index: Int64[Tensor, "n"], collection: Collection, prototypes: int) -> Pictures:
    """Return the mean of each prototype's different pictures, in 8 bits; black of one without."""
    index, rows = index[collection.counted], collection.rows[collection.counted]
    sums = torch.zeros(prototypes, *rows.shape[1:]).index_add_(0, index, rows)
    counts = torch.bincount(index, minlength=prototypes).clamp(min=1)
    return as_uint8(sums / counts[:, None, None, None]).float() / 255


def _assigned(
    similar: Float[Tensor, "n prototypes"],
    collection: Collection,
    allowed: Bool[Tensor, "prototypes"],
    seed: int,
) -> Int64[Tensor, "n"]:
    return plan_release(
        similar,
        collection.values,
        torch.zeros_like(collection.values),
        collection.rule,
        names=["the collection"],
        counted=collection.counted,
        allowed=allowed,
        generator=torch.Generator().manual_seed(seed),
    )


def _too_few(collection: Collection, closest: float) -> str:
    rule = collection.rule
    return (
        f"expected two prototypes at least that stand for {rule.k} different pictures of "
        f"{rule.values} private values each, none with more than {rule.share:.0%}, "
        f"and whose mean is {closest:.3f} or more (root mean square) from every original; got "
        f"{int(collection.counted.sum())} different pictures, which allow one prototype or none; "
        "add pictures of more people, leave out series of nearly equal ones, or ask for a smaller k"
    )
