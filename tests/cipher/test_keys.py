"""Rings rotate as told, and no key prints itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.cipher.independent as independent
from sfumato.cipher.keys import EnvelopeKey, KeyRing, KeyState, RingEntry
from sfumato.errors import KeyRingError


def test_rotation_adds_promotes_and_retires() -> None:
    ring = KeyRing.create()
    old = ring.primary
    new = EnvelopeKey.draw()
    added = ring.add(new)
    assert added.primary == old
    assert added.find(new.id) == new
    promoted = added.promote(new.id)
    assert promoted.primary == new
    assert promoted.find(old.id) == old
    retired = promoted.retire(old.id)
    assert [(e.id, e.state, e.key) for e in retired.entries] == [
        (old.id, KeyState.RETIRED, None),
        (new.id, KeyState.PRIMARY, new),
    ]
    with pytest.raises(KeyRingError, match="was retired"):
        retired.find(old.id)
    assert retired.find(bytes(16)) is None
    assert (ring.primary, len(ring.entries)) == (old, 1)


def test_rotation_refuses_what_would_break_the_ring() -> None:
    ring = KeyRing.create()
    primary = ring.primary
    with pytest.raises(KeyRingError, match="promote another one first"):
        ring.retire(primary.id)
    with pytest.raises(KeyRingError, match="unknown or retired"):
        ring.promote(bytes(16))
    with pytest.raises(KeyRingError, match="got one twice"):
        ring.add(primary)
    rotated = ring.add()
    rotated = rotated.promote(rotated.entries[1].id).retire(primary.id)
    for change in (rotated.promote, rotated.retire):
        with pytest.raises(KeyRingError, match="unknown or retired"):
            change(primary.id)


@given(st.binary(min_size=32, max_size=32))
def test_nothing_that_holds_a_key_prints_it(material: bytes) -> None:
    key = EnvelopeKey(material)
    ring = KeyRing.create(key).add()
    shown = "".join(f"{one!r} {one} {[one]}" for one in (key, *ring.entries, ring))
    for form in (material.hex(), repr(material)[2:-1], str(list(material))[1:-1]):
        assert form not in shown
    assert repr(key.id) in repr(key)


def test_an_id_is_bound_to_its_key() -> None:
    key = EnvelopeKey(b"k" * 32)
    assert key.id == independent.key_id(b"k" * 32)
    with pytest.raises(KeyRingError, match="does not belong"):
        RingEntry(bytes(16), KeyState.PRIMARY, key)
    with pytest.raises(KeyRingError, match="no material"):
        RingEntry(key.id, KeyState.RETIRED, key)
    with pytest.raises(KeyRingError, match="32 bytes"):
        EnvelopeKey(b"short")


@pytest.mark.parametrize("size", [0, 16, 31, 33, 64])
def test_a_key_has_32_bytes(size: int) -> None:
    with pytest.raises(KeyRingError, match=f"expected a key of 32 bytes, got {size}"):
        EnvelopeKey(bytes(size))
