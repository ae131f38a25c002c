"""A platform's load in machines and money: ten million indexed, 4,000 lookups a second.

These are the numbers that the field's own open matching service (ThreatExchange's HMA) names as
what it wants to carry. Everything but the price is measured, and beyond a million linear.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

INDEXED = 10**7
RATE = 4000.0  # lookups a second
LEAST = 2
"""Instances: one may fail or be upgraded."""
PRICE = 1.60
"""Dollars an hour of one machine: assumed, in the middle of what such machines are let for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one way to match needs."""

    name: str
    stored: float
    """Bytes of all that is indexed, in one instance."""
    seconds: float
    """Of one core, a lookup: decoding, what is computed from the picture, and the search."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """Instances of some machines each; in an instance each machine holds a share of all."""

    shards: int
    instances: int

    @property
    def machines(self) -> int:
        """How many in all."""
        return self.shards * self.instances


def fleet(need: Need, room: float, cores: int) -> Fleet:
    """Return the fewest machines of `room` bytes and some cores that carry the load."""
    shards = max(1, math.ceil(need.stored / room))
    work = math.ceil(RATE * need.seconds / cores / shards)
    return Fleet(shards, max(LEAST, work))


def lines(needs: Sequence[Need], *, room: float, cores: int, price: float) -> Iterator[str]:
    """Yield the lines of the page."""
    yield (
        f"\n## {INDEXED:,} indexed, {RATE:,.0f} lookups a second\n\n"
        "What the open matching service of the field (ThreatExchange's HMA) names as its aim, on "
        f"the same machines. **A machine-hour is assumed to cost {price:.2f} dollars**; all else "
        "is computed from what was measured. An instance is as many Ray shards as its memory asks "
        f"for, a machine each, and there are at least {LEAST}. A lookup is decoding, features or "
        "PDQ's hash, and the search, in batches of 64.\n"
    )
    yield (
        "| way | core ms a lookup | busy cores | shards x instances | machines | dollars an hour "
        "| dollars a million |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for need in needs:
        made = fleet(need, room, cores)
        hourly = made.machines * price
        yield (
            f"| {need.name} | {1e3 * need.seconds:.1f} | {RATE * need.seconds:,.0f} | "
            f"{made.shards} x {made.instances} | {made.machines:,} | {hourly:,.0f} | "
            f"{1e6 * hourly / 3600 / RATE:.2f} |"
        )
    yield (
        "\nThe two do not do the same: a hash finds a picture that somebody has listed, an "
        "enrollment new pictures of the same person or thing. Not in it: the network, the way to "
        "the shards and back (`python -m benchmarks shards`), HTTP, and what a machine idles for "
        "peaks. Nobody has run this load here."
    )
