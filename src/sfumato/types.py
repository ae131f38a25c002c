"""The interfaces that every protection and every attack keeps, and the results they exchange."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float, Int64
from torch import Tensor

Labels = Mapping[str, Int64[Tensor, "n"]]
"""Label values by attribute name; -1 where an image has no value for that attribute."""


@runtime_checkable
class Protector(Protocol):
    """Turns images into what leaves their owner. Any object with these two can be audited.

    It may also have `guarantee`, a `Guarantee` that reports and cards show.
    """

    @property
    def name(self) -> str:
        """What reports call it, with its settings."""
        ...

    def release(self, images: Float[Tensor, "n c h w"]) -> Tensor:
        """Return the release of images in [0, 1]: `n` rows of any shape and dtype."""
        ...


@runtime_checkable
class CollectionProtector(Protector, Protocol):
    """A protector whose release of a picture depends on the collection that it belongs to.

    Whoever releases, audits or judges one uses `for_collection`: what one picture alone would give
    is not what leaves its owner.
    """

    def for_collection(
        self,
        images: Float[Tensor, "n c h w"],
        labels: Labels,
        classes: Mapping[str, Sequence[str]],
        *,
        kept: Sequence[str] = (),
        seed: int = 0,
    ) -> Protector:
        """Return the protector of these pictures, released as one collection with `kept` labels."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarantee:
    """What holds of every release of a protector by the way it was made, counted when it was."""

    figures: Mapping[str, float] = field(default_factory=dict)
    """Figures by what they are, in the words that a report shows ("pictures behind a release, at
    least"); finite."""
    originals: str = ""
    """Why releases are real pictures on purpose, as a clause ("its releases are real pictures of
    'anna'"); empty where none is meant to be."""


def guarantee_of(protector: Protector) -> Guarantee:
    """Return what a protector guarantees: its own member `guarantee`, or nothing where it has none.

    Raises:
        TypeError: the member is no Guarantee.
    """
    found = getattr(protector, "guarantee", None) or Guarantee()
    if not isinstance(found, Guarantee):
        raise TypeError(f"{protector.name}: expected a Guarantee, got {type(found).__name__}")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Releases:
    """What the adversary intercepts, with the hidden truth that only scoring may read."""

    protector: str
    tensor: Tensor
    images: Float[Tensor, "n c h w"]
    labels: Labels
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What one adversary has: own labelled images, and black-box access to the release function.

    For a keyed release `query` runs with a fresh key each call and no key is ever handed over;
    `query_plain` is then the same public function without the key (None where it is not public).
    The adversary's images are of other people, or other files, than the victims'.
    """

    images: Float[Tensor, "n c h w"]
    labels: Labels
    query: Callable[[Float[Tensor, "n c h w"]], Tensor]
    query_plain: Callable[[Float[Tensor, "n c h w"]], Tensor] | None = None
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One attack on one release.

    `floor` is what the adversary gets without any release, `ceiling` what it gets from an
    unprotected one, `interval` a 95 % interval of `value` over victims and seeds. `floor_interval`
    and `ceiling_interval` are the same of the two ends where they were measured; None says that a
    floor is known exactly (one in so many values), and that a ceiling is only the best there could
    be: an audit measures it. `details` holds JSON values only.
    """

    attack: str
    protector: str
    metric: str
    value: float
    floor: float
    ceiling: float
    interval: tuple[float, float]
    seeds: tuple[int, ...]
    floor_interval: tuple[float, float] | None = None
    ceiling_interval: tuple[float, float] | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def leakage(self) -> float:
        """(value - floor) / (ceiling - floor): 0 nothing was learned, 1 no protection.

        A metric whose unprotected value does not differ from its floor measures nothing; its
        leakage is NaN rather than a made-up number. What the figure shows, with which uncertainty,
        says `sfumato.audit.measure.evidence`.
        """
        span = self.ceiling - self.floor
        return (self.value - self.floor) / span if span else float("nan")


@runtime_checkable
class Attack(Protocol):
    """What an adversary does with releases and their own data.

    It may also have `unfit(victim, knowledge)`, which says in words why the attack has no meaning
    for such a release, or None; an audit then does not run it.
    """

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    def run(self, victim: Releases, knowledge: Knowledge) -> Finding:
        """Train on `knowledge` alone, apply to `victim.tensor`, score against the hidden truth."""
        ...
