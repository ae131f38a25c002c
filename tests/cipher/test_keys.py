"""Rings rotate as told, and the ring's file opens to its owner alone."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tests.cipher.independent as independent
from sfumato.cipher.keyfile import load_ring, lock_ring, save_ring, unlock_ring
from sfumato.cipher.keys import EnvelopeKey, KeyRing, KeyState, RingEntry
from sfumato.errors import KeyRingError

VECTORS = json.loads((Path(__file__).parent / "vectors/keyring.json").read_text())
CONTENT = bytes.fromhex(VECTORS["ring"])
PASSPHRASE = VECTORS["passphrase"]


def facts(ring: KeyRing) -> list[dict[str, Any]]:
    entries = [
        {"id": e.id.hex(), "state": e.state.value, "key": e.key.material.hex() if e.key else None}
        for e in ring.entries
    ]
    return sorted(entries, key=lambda entry: entry["state"], reverse=True)


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
    assert all(old.material.hex() not in str(entry) for entry in facts(retired))
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


def test_an_id_is_bound_to_its_key_and_a_key_does_not_print_itself() -> None:
    key = EnvelopeKey(b"k" * 32)
    assert key.id == independent.key_id(b"k" * 32)
    assert "6b6b" not in repr(key)
    assert "kkkk" not in repr(KeyRing.create(key))
    with pytest.raises(KeyRingError, match="does not belong"):
        RingEntry(bytes(16), KeyState.PRIMARY, key)
    with pytest.raises(KeyRingError, match="no material"):
        RingEntry(key.id, KeyState.RETIRED, key)
    with pytest.raises(KeyRingError, match="32 bytes"):
        EnvelopeKey(b"short")


def test_a_ring_file_is_private_and_opens_with_its_passphrase(tmp_path: Path) -> None:
    ring = KeyRing.create().add()
    path = tmp_path / "my.keys"
    save_ring(ring, path, "pass phrase")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_ring(path, "pass phrase") == ring
    assert ring.primary.material not in path.read_bytes()
    with pytest.raises(KeyRingError, match=r"my\.keys: wrong passphrase"):
        load_ring(path, "pass phrasE")
    with pytest.raises(KeyRingError, match="cannot read the key ring"):
        load_ring(tmp_path / "none", "x")
    with pytest.raises(KeyRingError, match="empty one"):
        save_ring(ring, path, "")
    path.write_bytes(bytes(2 << 20))
    with pytest.raises(KeyRingError, match="other bytes"):
        load_ring(path, "x")


def test_the_frozen_ring_is_written_and_read_as_ever() -> None:
    ring = unlock_ring(CONTENT, PASSPHRASE)
    expected = sorted(VECTORS["entries"], key=lambda entry: entry["state"], reverse=True)
    assert facts(ring) == expected
    assert lock_ring(ring, PASSPHRASE, salt=b"s" * 16, nonce=b"n" * 12, log2_n=4) == CONTENT
    second = independent.unlock_ring(CONTENT, PASSPHRASE)
    assert sorted(second, key=lambda entry: str(entry["state"]), reverse=True) == expected


@pytest.mark.parametrize("vector", VECTORS["invalid"], ids=lambda v: v["name"])
def test_frozen_faults_are_refused(vector: dict[str, str]) -> None:
    with pytest.raises(KeyRingError):
        unlock_ring(bytes.fromhex(vector["ring"]), PASSPHRASE)


MALFORMED = [
    [],
    {},
    [1],
    "text",
    None,
    [{"id": "00"}],
    [{"id": "zz", "state": "primary", "key": "00" * 32}],
    [{"id": 5, "state": "primary", "key": 7}],
    [{"id": "00" * 16, "state": "primary", "key": "00" * 32}],
    [{"id": "00" * 16, "state": "sealed", "key": None}],
    [{"id": "00" * 16, "state": "retired", "key": None}],
]


@pytest.mark.parametrize("entries", MALFORMED)
def test_a_ring_of_other_contents_is_refused(
    entries: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its maker knows the passphrase: the contents are authentic, and still not to be trusted.
    monkeypatch.setattr(
        "sfumato.cipher.keyfile.json.dumps", lambda _: json.JSONEncoder().encode(entries)
    )
    content = lock_ring(KeyRing.create(), "p", salt=bytes(16), nonce=bytes(12), log2_n=1)
    with pytest.raises(KeyRingError):
        unlock_ring(content, "p")


EDITS = st.lists(st.tuples(st.integers(8, len(CONTENT) - 1), st.integers(0, 255)), max_size=3)


def attempt(edits: list[tuple[int, int]], cut: slice, tail: bytes) -> None:
    # Bytes 5 to 7, scrypt's cost, stay: the frozen faults cover them without seconds of work each.
    edited = bytearray(CONTENT)
    for at, value in edits:
        edited[at] = value
    content = CONTENT[:8] + bytes(edited[8:][cut]) + tail
    try:
        ring = unlock_ring(content, PASSPHRASE)
    except KeyRingError:
        return
    assert content == CONTENT
    assert len(ring.entries) == 3


@given(EDITS, st.slices(len(CONTENT) - 8), st.binary(max_size=40))
@settings(deadline=None)
def test_hostile_edits_are_refused(edits: list[tuple[int, int]], cut: slice, tail: bytes) -> None:
    attempt(edits, cut, tail)


@pytest.mark.slow
@given(EDITS, st.slices(len(CONTENT) - 8), st.binary(max_size=400))
@settings(deadline=None, max_examples=50_000, suppress_health_check=list(HealthCheck))
def test_a_longer_run_of_hostile_edits(
    edits: list[tuple[int, int]], cut: slice, tail: bytes
) -> None:
    attempt(edits, cut, tail)
