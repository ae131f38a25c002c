"""The contracts that every protection and every attack keeps, and the results they exchange.

A protector or an attack of your own subclasses `Protector` or `Attack`, has a `name` and one
method, and is audited like those that come with Sfumato. Every other member has a default here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

Labels = Mapping[str, Int64[Tensor, "n"]]
"""Label values by attribute name; -1 where an image has no value for that attribute."""
Images = Float[Tensor, "n c h w"]


class Fingerprinted:
    """Says itself what its results depend on; else its class, its code and its values do."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def fingerprint(self) -> str:
            """A digest in hexadecimal."""

    else:
        fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarantee:
    """What holds of every release of a protector by the way it was made, counted when it was."""

    figures: Mapping[str, float] = field(default_factory=dict)
    """Figures by what they are, in the words that a report shows ("pictures behind a release, at
    least"); finite."""
    originals: str = ""
    """Why releases are real pictures on purpose, as a clause ("its releases are real pictures of
    'anna'"); empty where none is meant to be."""


class Protector(ABC):
    """Turns images into what leaves their owner: subclass it with `name` and `release`.

    A cell of an audit is found again by the protector's values and code, or by its own
    `fingerprint` where it is `Fingerprinted` too.
    """

    __slots__ = ()

    if TYPE_CHECKING:  # read-only, so that a subclass may have a property or a value

        @property
        def name(self) -> str:
            """What reports call it, with its settings."""

        @property
        def guarantee(self) -> Guarantee:
            """What reports and cards say of every release; nothing unless it is given."""

        @property
        def private(self) -> tuple[str, ...]:
            """The labels that it was made to hide: a release on disk leaves them out."""

        @property
        def drawn_per(self) -> str | None:
            """The label whose pictures share one random draw; None: each picture has its own."""

        @property
        def overhead_bytes(self) -> int:
            """Bytes stored beside the numbers of one release: an envelope's header and tag."""

    else:
        name: str
        guarantee = Guarantee()
        private = ()
        drawn_per = None
        overhead_bytes = 0

    @abstractmethod
    def release(self, images: Images) -> Tensor:
        """Return the release of images in [0, 1]: `n` rows of any shape and dtype."""


class KeyedProtector(Protector):
    """A protector whose releases hold plain numbers under a key that nobody else has.

    An audit attacks it twice: by an adversary who learned on releases of their own pictures, and by
    one who learned on what is inside of those.
    """

    __slots__ = ()

    @abstractmethod
    def plain(self, images: Images) -> Tensor:
        """Return what is inside the releases of these images: the same, without the key."""


class CollectionProtector(Protector):
    """A protector whose release of a picture depends on the collection that it belongs to.

    Whoever releases, audits or judges one uses `for_collection`: what one picture alone would give
    is not what leaves its owner.
    """

    __slots__ = ()

    @abstractmethod
    def for_collection(
        self,
        images: Images,
        labels: Labels,
        classes: Mapping[str, Sequence[str]],
        *,
        kept: Sequence[str] = (),
        seed: int = 0,
    ) -> Protector:
        """Return the protector of these pictures, released as one collection with `kept` labels."""


@runtime_checkable
class Pictures(Protocol):
    """Labelled pictures; `sfumato.data.imageset.ImageSet` are some."""

    @property
    def labels(self) -> Labels:
        """Label values by name."""
        ...

    @property
    def classes(self) -> Mapping[str, Sequence[str]]:
        """What each value of a label means, by name."""
        ...

    def floats(self) -> Images:
        """Return the pictures in [0, 1]."""
        ...


def ask(
    query: Callable[[Images], Tensor], images: Images, *, at_once: int = 256
) -> Shaped[Tensor, "n *shape"]:
    """Query a release function, `at_once` images a request (and so a key), and return CPU rows."""
    with torch.no_grad():
        return torch.cat([query(batch).cpu() for batch in images.split(at_once)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Releases:
    """What the adversary intercepts, with the hidden truth that only scoring may read."""

    protector: str
    tensor: Tensor
    images: Images
    labels: Labels
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, protector: Protector, pictures: Pictures, *, at_once: int = 256) -> Releases:
        """Return what leaves the owner of these pictures, `at_once` of them a request."""
        images = pictures.floats()
        return cls(
            protector=protector.name,
            tensor=ask(protector.release, images, at_once=at_once),
            images=images,
            labels=pictures.labels,
            classes=pictures.classes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What one adversary has: own labelled images, and black-box access to the release function.

    For a keyed release `query` runs with a fresh key each call and no key is ever handed over;
    `query_plain` is then the same public function without the key (None where it is not public).
    The adversary's images are of other people, or other files, than the victims'.
    """

    images: Images
    labels: Labels
    query: Callable[[Images], Tensor]
    query_plain: Callable[[Images], Tensor] | None = None
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, protector: Protector, pictures: Pictures) -> Knowledge:
        """Return what an adversary with these pictures has, who may ask for any release."""
        return cls(
            images=pictures.floats(),
            labels=pictures.labels,
            query=protector.release,
            query_plain=protector.plain if isinstance(protector, KeyedProtector) else None,
            classes=pictures.classes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How one network was trained: its figures after each epoch, and why it ended."""

    curves: Mapping[str, tuple[float, ...]]
    """By name; `validated` is the figure on the adversary's own held-out pictures."""
    best_epoch: int
    """Counted from 0; its weights are the ones that were used."""
    stopped_early: bool
    """Whether it ended because nothing more was gained, not because its epochs were used up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """One learner that an attacker trained, and what it was worth."""

    learner: str
    seed: int
    chosen: bool = True
    """Whether its figure is the one that counts."""
    validated: float | None = None
    """Its figure on the adversary's own held-out pictures, by which it was chosen."""
    value: float | None = None
    """Its figure on the victims, where it was applied to them."""
    training: Training | None = None
    """None where nothing was trained by gradients, or its curve was not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RocCurve:
    """Pairs of one person accepted (`tar`) over pairs of two people accepted (`far`)."""

    far: tuple[float, ...]
    tar: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What an attack reports beside its figure; reports draw what is declared here.

    An attack with more to say subclasses it with fields of numbers, text, tuples, mappings by text
    and dataclasses of such: they are written to `report.json` under their names. Only the kinds of
    Sfumato's own attacks are read back whole; of others, what is declared here.
    """

    kind: ClassVar[str] = "other"
    """The name under which a report finds the class again."""
    trained: tuple[Trained, ...] = ()
    """Every learner that was tried."""
    roc: RocCurve | None = None
    originals: int = 0
    """How many of the victims' releases are originals."""

    @property
    def used(self) -> tuple[str, ...]:
        """The kinds of learner whose figures count, in the alphabet's order."""
        return tuple(sorted({one.learner for one in self.trained if one.chosen}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One attack on one release.

    `floor` is what the adversary gets without any release, `ceiling` what it gets from an
    unprotected one, `interval` a 95 % interval of `value` over victims and seeds. `floor_interval`
    and `ceiling_interval` are the same of the two ends where they were measured; None says that a
    floor is known exactly (one in so many values), and that a ceiling is only the best there could
    be: an audit measures it.
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
    details: Details = field(default_factory=Details)

    @property
    def leakage(self) -> float:
        """(value - floor) / (ceiling - floor): 0 nothing was learned, 1 no protection.

        A metric whose unprotected value does not differ from its floor measures nothing; its
        leakage is NaN rather than a made-up number. What the figure shows, with which uncertainty,
        says `sfumato.audit.measure.evidence`.
        """
        span = self.ceiling - self.floor
        return (self.value - self.floor) / span if span else float("nan")


class Attack(ABC):
    """What an adversary does with releases and own data: subclass it with `name` and `run`."""

    __slots__ = ()

    name: str
    """What reports call it."""
    learns: bool = True
    """Whether it trains on releases: then an audit has it learn on what is inside the releases of a
    keyed protector as well."""
    own_ceiling: bool = False
    """Whether its findings' ceilings are known: else an audit measures them without protection."""

    @abstractmethod
    def run(self, victim: Releases, knowledge: Knowledge) -> Finding:
        """Train on `knowledge` alone, apply to `victim.tensor`, score against the hidden truth."""

    def unfit(self, victim: Releases, knowledge: Knowledge) -> str | None:  # noqa: ARG002
        """Say in words why the attack has no meaning for such a release, or None.

        An audit does not run it then.
        """
        return None

    def reads(self) -> tuple[str, ...]:
        """Return the labels that both sides need with two values each; an audit looks first."""
        return ()

    def unprotected(self) -> Attack:
        """Return the attack that measures the ceiling: itself, unless it reads ciphertext only."""
        return self

    def sheet(self, protector: str) -> Path | None:  # noqa: ARG002
        """Return the file of the pictures that it draws for a protector, or None."""
        return None
