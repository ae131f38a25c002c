"""Which prototype stands for which picture of one collection: by the same odds for everybody.

A network that picks the nearest prototype lets habits through: who crosses their sevens uses the
crossed seven. So the pictures of a collection are assigned together. How often a private value
uses each prototype is drawn, independently for every value, from one distribution: that of all
pictures with the same kept labels. Only then is it settled which of the value's pictures get
which prototype, so that the total similarity is the largest (an assignment problem, solved exactly
in parts of a few hundred pictures). So the prototypes of any releases of one person, many or few,
have the same distribution for everybody. Equal counts for everybody would not do that: who knows
most releases of a person would know the rest by subtraction.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int64
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from sfumato.errors import DataError
from sfumato.protect.prototypes.anonymity import Standing, count_standing
from sfumato.protect.prototypes.rule import Anonymity

Similarities = Float[Tensor, "n prototypes"]

_PART = 512  # pictures that are assigned at once: the exact solution takes cubic time
_TRIES = 10  # draws before a prototype is dropped


def plan_release(
    similar: Similarities,
    private: Int64[Tensor, "n"],
    kept: Int64[Tensor, "n"],
    rule: Anonymity,
    *,
    names: Sequence[str],
    counted: Bool[Tensor, "n"],
    allowed: Bool[Tensor, "prototypes"],
    generator: torch.Generator,
) -> Int64[Tensor, "n"]:
    """Return each picture's prototype.

    `private` is each picture's private value and `kept` its combination of kept labels, both from
    0; `names` says in words what each combination is. `counted` leaves out pictures that equal an
    earlier one. Every prototype that is used at all within a combination keeps the settled `rule`
    there.

    Raises:
        DataError: within some combination not even one prototype for all can keep the rule.
    """
    nearest = similar.masked_fill(~allowed, -torch.inf).argmax(1)
    overall = torch.bincount(nearest, minlength=len(allowed))
    index = torch.full((len(similar),), -1)
    for combination in kept.unique().tolist():
        rows = (kept == combination).nonzero().squeeze(1)
        counts = torch.bincount(nearest[rows], minlength=len(allowed))
        # One that is rarer here than overall would show another kept label than it carries.
        typical = (counts * len(similar) >= overall * len(rows)) & (counts > 0)
        index[rows] = _within(
            similar[rows],
            private[rows],
            rule,
            counted=counted[rows],
            allowed=typical,
            name=names[combination],
            generator=generator,
        )
    return index


def _within(
    similar: Similarities,
    private: Int64[Tensor, "n"],
    rule: Anonymity,
    *,
    counted: Bool[Tensor, "n"],
    allowed: Bool[Tensor, "prototypes"],
    name: str,
    generator: torch.Generator,
) -> Int64[Tensor, "n"]:
    """Assign the pictures of one combination of kept labels; drop what breaks the rule."""
    # Counts are drawn: their sum stays above k in all but a few draws.
    least = rule.k + 2 * rule.k**0.5
    while bool(allowed.any()):
        wanted = _shares(similar, allowed, counted, least)
        allowed = wanted > 0
        for _ in range(_TRIES):
            index = assign(similar, private, wanted, generator)
            standing = count_standing(index, private, similar.shape[1], first=counted)
            broken = standing.broken(rule)
            if not len(broken):
                return index
        if int(allowed.sum()) == 1:
            break
        allowed[broken[standing.pictures[broken].argmin()]] = False
    raise DataError(_refusal(private, counted, rule, name))


def _shares(
    similar: Similarities,
    allowed: Bool[Tensor, "prototypes"],
    counted: Bool[Tensor, "n"],
    least: float,
) -> Float[Tensor, "prototypes"]:
    """Return how often each prototype is to be used: as often as it is nearest, and never rarely.

    A prototype that is nearest to fewer than half of `least` pictures is left out, but for the
    last two; one with fewer than `least` gets more.
    """
    allowed, total = allowed.clone(), int(counted.sum())
    while True:
        nearest = similar.masked_fill(~allowed, -torch.inf).argmax(1)
        counts = torch.bincount(nearest[counted], minlength=len(allowed)).double()
        left = int(allowed.sum())
        few = left > 2 and bool((counts[allowed] < least / 2).any())
        if left == 1 or not (few or left * least > total):
            wanted = torch.where(allowed, counts.clamp(min=least), 0.0)
            return wanted / wanted.sum()
        allowed[torch.where(allowed, counts, total + 1.0).argmin()] = False


def assign(
    similar: Similarities,
    private: Int64[Tensor, "n"],
    wanted: Float[Tensor, "prototypes"],
    generator: torch.Generator,
) -> Int64[Tensor, "n"]:
    """Draw how often each private value uses each prototype, then assign its pictures.

    `wanted` sums to 1: the probability of each prototype, the same for every picture.
    """
    index = torch.empty(len(similar), dtype=torch.int64)
    for value in private.unique().tolist():
        rows = (private == value).nonzero().squeeze(1)
        rows = rows[torch.randperm(len(rows), generator=generator)]
        for part in rows.split(_PART):
            places = torch.multinomial(wanted, len(part), replacement=True, generator=generator)
            pairs = linear_sum_assignment(similar[part][:, places].numpy(), maximize=True)[1]
            index[part] = places[torch.from_numpy(pairs)]
    return index


def standing_within(
    index: Int64[Tensor, "n"],
    private: Int64[Tensor, "n"],
    kept: Int64[Tensor, "n"],
    counted: Bool[Tensor, "n"],
    prototypes: int,
) -> Standing:
    """Count what each released record, a prototype with its kept labels, stands for."""
    combinations = int(kept.max()) + 1
    return count_standing(
        kept * prototypes + index, private, combinations * prototypes, first=counted
    )


def _refusal(
    private: Int64[Tensor, "n"], counted: Bool[Tensor, "n"], rule: Anonymity, name: str
) -> str:
    whole = count_standing(torch.zeros_like(private), private, 1, first=counted)
    return (
        f"expected, of {name}, at least {rule.k} different pictures of at least {rule.values} "
        f"private values, none with more than {rule.share:.0%} of them; got "
        f"{int(whole.pictures[0])} pictures of {int(whole.values[0])} values, one with "
        f"{float(whole.shares[0]):.0%}; add pictures, keep fewer labels, or ask for a smaller k"
    )
