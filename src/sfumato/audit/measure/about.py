"""What an audit was made of: both sides' pictures, and how it was run."""

from __future__ import annotations

from dataclasses import dataclass

from sfumato.data.imageset import ImageSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The pictures of the victims, or of the adversary."""

    name: str
    count: int
    shape: tuple[int, ...]
    """Channels, height and width."""
    fingerprint: str
    """SHA-256 (hex) over pixels and labels."""

    @classmethod
    def of(cls, images: ImageSet) -> Side:
        """Return what a report says of a set."""
        return cls(
            name=images.name,
            count=len(images),
            shape=tuple(images.images.shape[1:]),
            fingerprint=images.fingerprint(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Both sides, and why they are not the same people or pictures."""

    victims: Side
    adversary: Side
    disjoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How an audit was run."""

    private: tuple[str, ...]
    attacks: tuple[str, ...]
    """Names of all that were run."""
    utility: tuple[str, ...]
    identity: str | None
    seeds: tuple[int, ...]
    protectors: tuple[str, ...]
    keyed: tuple[str, ...]
    """The protectors that have a key."""
    learners: tuple[str, ...]
    restarts: int
    epochs: int
    precision: str
    quick: bool = False
    """Whether attackers were cut short."""
    command: str | None = None
    """What was typed, where it was a command line."""
