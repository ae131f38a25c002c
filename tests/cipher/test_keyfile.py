"""A ring's file opens to its owner alone, and hostile files are refused."""

from __future__ import annotations

import json
import stat
import threading
from contextlib import suppress
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tests.cipher.independent as independent
from sfumato.cipher import keyfile
from sfumato.cipher.keyfile import (
    change_ring,
    create_ring,
    load_ring,
    lock_ring,
    save_ring,
    unlock_ring,
)
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


def test_a_ring_file_is_private_and_opens_with_its_passphrase(tmp_path: Path) -> None:
    ring = KeyRing.create().add()
    path = tmp_path / "my.keys"
    save_ring(ring, path, "pass phrase")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_ring(path, "pass phrase") == ring
    assert ring.primary.material not in path.read_bytes()
    with pytest.raises(KeyRingError, match=r"my\.keys: wrong passphrase"):
        load_ring(path, "pass phrasE")
    with pytest.raises(KeyRingError, match=r"cannot read .*No such file"):
        load_ring(tmp_path / "none", "x")
    with pytest.raises(KeyRingError, match="empty one"):
        save_ring(ring, path, "")
    with pytest.raises(KeyRingError, match="empty one"):
        create_ring(tmp_path / "new", "")
    path.write_bytes(bytes(2 << 20))
    with pytest.raises(KeyRingError, match="expected at most 1,048,576 bytes, got 2,097,152"):
        load_ring(path, "x")


def test_a_salt_and_a_nonce_never_serve_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyfile, "_stretched", lambda *_: bytes(32))  # its cost is not the point
    ring, drawn = KeyRing.create(), []
    for name in ("a", "b"):
        save_ring(ring, tmp_path / name, "p")
        content = (tmp_path / name).read_bytes()
        drawn += [content[8:24], content[24:36]]
        assert content[:8] == b"SFKR" + bytes([1, 17, 8, 1])
    assert len({*drawn, bytes(16), bytes(12)}) == 6


def changed_at_once(path: Path, times: int) -> list[KeyRing]:
    """The rings that as many processes' worth of `add` say they wrote."""
    with ThreadPool(times) as pool:
        return pool.map(lambda _: change_ring(path, "p", KeyRing.add), range(times))


def test_no_key_is_lost_where_several_change_a_ring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = threading.Barrier(2)

    def slowly(content: bytes, passphrase: str) -> KeyRing:
        ring = unlock_ring(content, passphrase)
        with suppress(threading.BrokenBarrierError):
            read.wait(0.2)  # whoever may read at the same time does
        return ring

    monkeypatch.setattr(keyfile, "_stretched", lambda *_: bytes(32))
    path = tmp_path / "my.keys"
    create_ring(path, "p")
    monkeypatch.setattr(keyfile, "unlock_ring", slowly)
    added = {ring.entries[-1].id for ring in changed_at_once(path, 3)}
    kept = {entry.id for entry in unlock_ring(path.read_bytes(), "p").entries}
    assert len(added) == 3
    assert added < kept
    assert len(kept) == 4


def test_a_ring_that_others_keep_changing_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyfile, "_stretched", lambda *_: bytes(32))
    monkeypatch.setattr(keyfile, "_PATIENCE_SECONDS", 0.05)
    path = tmp_path / "my.keys"
    create_ring(path, "p")
    before = path.read_bytes()

    def meanwhile(ring: KeyRing) -> KeyRing:
        with pytest.raises(KeyRingError, match="others keep changing"):
            change_ring(path, "p", KeyRing.add)
        assert path.read_bytes() == before
        return ring.add()

    assert len(change_ring(path, "p", meanwhile).entries) == 2


def test_a_missing_ring_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyRingError, match=r"cannot read .*none: No such file"):
        change_ring(tmp_path / "none", "p", KeyRing.add)
    assert not [*tmp_path.iterdir()]


def test_of_two_that_make_a_ring_one_is_told_that_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2)
    monkeypatch.setattr(keyfile, "_stretched", lambda *_: bytes(both.wait() * 0 + 32))
    path = tmp_path / "my.keys"

    def make(_: int) -> KeyRing | KeyRingError:
        try:
            return create_ring(path, "p")
        except KeyRingError as error:
            return error

    with ThreadPool(2) as pool:
        made = pool.map(make, range(2))
    rings = [ring for ring in made if isinstance(ring, KeyRing)]
    told = [str(error) for error in made if isinstance(error, KeyRingError)]
    assert len(rings) == 1
    assert told == [f"{path} exists; a ring is never overwritten: choose another name"]
    monkeypatch.setattr(keyfile, "_stretched", lambda *_: bytes(32))
    assert load_ring(path, "p") == rings[0]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_ring_that_no_reader_takes_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyfile, "_stretched", lambda *_: bytes(32))
    path = tmp_path / "my.keys"
    ring = create_ring(path, "p")
    before = path.read_bytes()
    keys = [EnvelopeKey(number.to_bytes(32, "big")) for number in range(8000)]
    many = KeyRing((*ring.entries, *(RingEntry(k.id, KeyState.OPENING, k) for k in keys)))
    with pytest.raises(KeyRingError, match="got 8,001 keys"):
        save_ring(many, path, "p")
    assert path.read_bytes() == before
    content = lock_ring(ring, "p", salt=bytes(16), nonce=bytes(12))
    monkeypatch.setattr(keyfile, "_LIMIT_BYTES", len(content))
    assert unlock_ring(lock_ring(ring, "p", salt=bytes(16), nonce=bytes(12)), "p") == ring
    monkeypatch.setattr(keyfile, "_LIMIT_BYTES", len(content) - 1)
    with pytest.raises(KeyRingError, match="got 1 key;"):
        save_ring(ring, path, "p")


STATES = st.lists(st.sampled_from(list(KeyState)), max_size=6)
WORDS = st.text(min_size=1, max_size=9)


def ring_of(states: list[KeyState]) -> KeyRing:
    """A ring whose keys have these states; the last one that is to be primary is."""
    ring = KeyRing.create()
    for state in states:
        ring = ring.add()
        if state is KeyState.PRIMARY:
            ring = ring.promote(ring.entries[-1].id)
        elif state is KeyState.RETIRED:
            ring = ring.retire(ring.entries[-1].id)
    return ring


@given(STATES, WORDS, WORDS)
def test_any_ring_comes_back_under_its_passphrase_alone(
    states: list[KeyState], passphrase: str, other: str
) -> None:
    ring = ring_of(states)
    content = lock_ring(ring, passphrase, salt=bytes(16), nonce=bytes(12), log2_n=1)
    assert unlock_ring(content, passphrase) == ring
    if other != passphrase:
        with pytest.raises(KeyRingError, match="wrong passphrase"):
            unlock_ring(content, other)


@pytest.mark.parametrize(
    ("at", "value"), [(5, 0), (5, 21), (6, 0), (6, 9), (7, 0), (7, 5)], ids=lambda v: str(v)
)
def test_a_file_cannot_ask_for_work_without_end(
    at: int, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyfile, "Scrypt", None)
    content = bytearray(CONTENT)
    content[at] = value
    with pytest.raises(KeyRingError, match="more than 1 GiB"):
        unlock_ring(bytes(content), PASSPHRASE)


def test_the_most_that_a_file_may_ask_for_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, ...]] = []

    def stretched(_passphrase: str, _salt: bytes, *cost: int) -> bytes:
        asked.append(cost)
        return bytes(32)

    monkeypatch.setattr(keyfile, "_stretched", stretched)
    for cost in ((1, 1, 1), (20, 8, 4)):
        with pytest.raises(KeyRingError, match="wrong passphrase"):
            unlock_ring(CONTENT[:5] + bytes(cost) + CONTENT[8:], PASSPHRASE)
    assert asked == [(1, 1, 1), (20, 8, 4)]


def test_a_file_past_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "my.keys"
    for size, message in ((1 << 20, "wrong passphrase"), ((1 << 20) + 1, "1,048,577")):
        path.write_bytes(CONTENT + bytes(size - len(CONTENT)))
        with pytest.raises(KeyRingError, match=message):
            load_ring(path, PASSPHRASE)


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
