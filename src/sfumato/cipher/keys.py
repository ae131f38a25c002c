"""Keys of envelopes, and rings of them: a new key is added, promoted, and one day retired."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sfumato.errors import KeyRingError

KEY_BYTES = 32
KEY_ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class EnvelopeKey:
    """One secret under which envelopes are sealed. Printing it shows the id alone."""

    material: bytes = field(repr=False)
    id: bytes = field(init=False)

    def __post_init__(self) -> None:
        if len(self.material) != KEY_BYTES:
            raise KeyRingError(
                f"expected a key of {KEY_BYTES} bytes, got {len(self.material)}; "
                "draw one with EnvelopeKey.draw()"
            )
        object.__setattr__(self, "id", key_id(self.material))

    @classmethod
    def draw(cls) -> EnvelopeKey:
        """Draw a key from the system's generator."""
        return cls(secrets.token_bytes(KEY_BYTES))


def key_id(material: bytes) -> bytes:
    """Return the public id of a key: derived, so that an id names one key and no other.

    AES-GCM and ChaCha20-Poly1305 alone let a forger make a ciphertext that opens under two keys.
    """
    return HKDF(hashes.SHA256(), KEY_ID_BYTES, None, b"sfumato key id v1").derive(material)


class KeyState(Enum):
    """What a key of a ring is still for."""

    PRIMARY = "primary"  # seals and opens; every ring has exactly one
    OPENING = "opening"  # opens only: not yet promoted, or promoted no longer
    RETIRED = "retired"  # does neither; its material is gone, its id stays to say so


@dataclass(frozen=True, slots=True)
class RingEntry:
    """One key's place in a ring; a retired one has no material any more."""

    id: bytes
    state: KeyState
    key: EnvelopeKey | None = field(repr=False)

    def __post_init__(self) -> None:
        if (self.key is None) != (self.state is KeyState.RETIRED):
            raise KeyRingError(f"key {self.id.hex()}: only a retired key has no material")
        if len(self.id) != KEY_ID_BYTES or (self.key is not None and self.key.id != self.id):
            raise KeyRingError(f"key {self.id.hex()}: the id does not belong to the material")


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Keys by id, one of them primary. Rings are values: a change returns a new ring.

    To rotate: `add` a key and hand the ring to all who open; then `promote` it; when nothing
    sealed before is needed any more, `retire` the old one, which is final.
    """

    entries: tuple[RingEntry, ...]

    def __post_init__(self) -> None:
        if len({entry.id for entry in self.entries}) != len(self.entries):
            raise KeyRingError("expected every key once in a ring, got one twice")
        primaries = sum(entry.state is KeyState.PRIMARY for entry in self.entries)
        if primaries != 1:
            raise KeyRingError(f"expected one primary key in a ring, got {primaries}")

    @classmethod
    def create(cls, key: EnvelopeKey | None = None) -> KeyRing:
        """Return a ring whose one key, drawn unless given, is primary."""
        key = key or EnvelopeKey.draw()
        return cls((RingEntry(key.id, KeyState.PRIMARY, key),))

    @property
    def primary(self) -> EnvelopeKey:
        """The key that seals."""
        return next(e.key for e in self.entries if e.state is KeyState.PRIMARY and e.key)

    def find(self, key_id: bytes) -> EnvelopeKey | None:
        """Return the key with this id, or None if the ring never had it.

        Raises:
            KeyRingError: the key was retired.
        """
        entry = next((entry for entry in self.entries if entry.id == key_id), None)
        if entry is not None and entry.key is None:
            raise KeyRingError(
                f"key {key_id.hex()} was retired; what it sealed can no longer be opened"
            )
        return entry.key if entry else None

    def add(self, key: EnvelopeKey | None = None) -> KeyRing:
        """Return the ring with one more key, drawn unless given, that opens but does not seal."""
        key = key or EnvelopeKey.draw()
        return KeyRing((*self.entries, RingEntry(key.id, KeyState.OPENING, key)))

    def promote(self, key_id: bytes) -> KeyRing:
        """Return the ring in which this key seals; the one that did still opens."""
        self._entry(key_id, "promote")
        states = {KeyState.PRIMARY: KeyState.OPENING}
        return KeyRing(
            tuple(
                replace(
                    e, state=KeyState.PRIMARY if e.id == key_id else states.get(e.state, e.state)
                )
                for e in self.entries
            )
        )

    def retire(self, key_id: bytes) -> KeyRing:
        """Return the ring without this key's material. What it sealed is lost for this ring."""
        if self._entry(key_id, "retire").state is KeyState.PRIMARY:
            raise KeyRingError(
                f"cannot retire key {key_id.hex()}: it is the primary; promote another one first"
            )
        return KeyRing(
            tuple(
                replace(e, state=KeyState.RETIRED, key=None) if e.id == key_id else e
                for e in self.entries
            )
        )

    def _entry(self, key_id: bytes, action: str) -> RingEntry:
        entry = next((entry for entry in self.entries if entry.id == key_id), None)
        if entry is None or entry.state is KeyState.RETIRED:
            known = ", ".join(e.id.hex() for e in self.entries if e.key)
            raise KeyRingError(
                f"cannot {action} key {key_id.hex()}: unknown or retired; this ring has {known}"
            )
        return entry


def find_key(keys: KeyRing | Sequence[EnvelopeKey], key_id: bytes) -> EnvelopeKey | None:
    """Return the key with this id from a ring or a few loose keys, or None."""
    if isinstance(keys, KeyRing):
        return keys.find(key_id)
    return next((key for key in keys if key.id == key_id), None)
