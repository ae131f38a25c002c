"""A key ring on disk: encrypted under a passphrase, readable by its owner alone.

Layout (big-endian), formats.md: magic `SFKR`, version, scrypt's log2 N, r and p, salt (16),
nonce (12); then JSON under AES-256-GCM whose authenticated data are all bytes before it.
"""

from __future__ import annotations

import json
import os
import secrets
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from sfumato.cipher.keys import EnvelopeKey, KeyRing, KeyState, RingEntry
from sfumato.counted import counted
from sfumato.errors import InputError, KeyRingError
from sfumato.files import MALFORMED, read_limited, write_bytes
from sfumato.newfile import write_first

_MAGIC = b"SFKR"
_VERSION = 1
_HEADER = struct.Struct(">4sBBBB16s12s")
_TAG_BYTES = 16
_LIMIT_BYTES = 1 << 20  # some 7,500 keys
_PATIENCE_SECONDS = 60.0  # for who changes the ring; a change takes about a second

# scrypt takes 128 * N * r bytes: 128 MiB as written here (OWASP's first choice). A file may ask
# for 1 GiB at most, because its parameters are read before anything is authenticated.
_LOG2_N, _R, _P = 17, 8, 1
_MAX_LOG2_N, _MAX_R, _MAX_P = 20, 8, 4


def create_ring(path: Path, passphrase: str) -> KeyRing:
    """Write a ring of one new key to a new file with mode 0600, and return it.

    Raises:
        KeyRingError: something is there already, or the passphrase is empty.
        InputError: the file cannot be written.
    """
    ring = KeyRing.create()
    try:
        # The cost of a passphrase is paid twice only where two make the same file at once.
        if os.path.lexists(path) or not write_first(path, _drawn(ring, passphrase)):
            raise KeyRingError(f"{path} exists; a ring is never overwritten: choose another name")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; choose another place") from error
    return ring


def change_ring(path: Path, passphrase: str, change: Callable[[KeyRing], KeyRing]) -> KeyRing:
    """Read a ring, write what `change` makes of it, and return that: one process at a time.

    Of two who read the same ring and wrote it, the second would take away the first one's key,
    with which something may be sealed by then. The lock is a file `.NAME.lock` beside the ring.

    Raises:
        KeyRingError: as `load_ring`, or others kept changing the ring.
        InputError: it cannot be written.
    """
    path = Path(os.path.realpath(path))
    # Where there is no ring it is said so, and no lock is left behind.
    with _alone(path) if path.is_file() else nullcontext():
        ring = change(load_ring(path, passphrase))
        save_ring(ring, path, passphrase)
    return ring


def save_ring(ring: KeyRing, path: Path, passphrase: str) -> None:
    """Write the ring to `path`, whole or not at all, with mode 0600.

    What is there is replaced, whoever changed it meanwhile: `change_ring` is for a ring in use.
    """
    write_bytes(path, _drawn(ring, passphrase), mode=0o600)


def load_ring(path: Path, passphrase: str) -> KeyRing:
    """Read a ring that `save_ring` wrote.

    Raises:
        KeyRingError: the file is missing or malformed, or the passphrase is wrong.
    """
    content = read_limited(path, limit_bytes=_LIMIT_BYTES, error=KeyRingError)
    try:
        return unlock_ring(content, passphrase)
    except KeyRingError as error:
        raise KeyRingError(f"{path}: {error}") from error


def lock_ring(
    ring: KeyRing, passphrase: str, *, salt: bytes, nonce: bytes, log2_n: int = _LOG2_N
) -> bytes:
    """Return the ring's file; `salt` and `nonce` must never serve twice.

    Raises:
        KeyRingError: the passphrase is empty, or there are more keys than a file holds.
    """
    if not passphrase:
        raise KeyRingError("expected a passphrase for the key ring, got an empty one")
    header = _HEADER.pack(_MAGIC, _VERSION, log2_n, _R, _P, salt, nonce)
    entries = [
        {
            "id": entry.id.hex(),
            "state": entry.state.value,
            "key": entry.key.material.hex() if entry.key else None,
        }
        for entry in ring.entries
    ]
    text = json.dumps(entries).encode()
    if len(header) + len(text) + _TAG_BYTES > _LIMIT_BYTES:
        raise KeyRingError(
            f"expected a ring that fits a file of {_LIMIT_BYTES:,} bytes, got "
            f"{counted(len(entries), 'key')}; keep further ones in another ring"
        )
    secret = _stretched(passphrase, salt, log2_n, _R, _P)
    return header + AESGCM(secret).encrypt(nonce, text, header)


def unlock_ring(content: bytes, passphrase: str) -> KeyRing:
    """Return the ring in a file's bytes, whoever wrote them.

    Raises:
        KeyRingError: these bytes are no key ring of this version, or the passphrase is wrong.
    """
    if not _HEADER.size < len(content) <= _LIMIT_BYTES or not content.startswith(_MAGIC):
        raise KeyRingError("expected a key ring file of Sfumato, got other bytes")
    header = content[: _HEADER.size]
    _, version, log2_n, r, p, salt, nonce = _HEADER.unpack(header)
    if version != _VERSION:
        raise KeyRingError(
            f"expected a key ring of version {_VERSION}, got {version}; use a newer Sfumato"
        )
    if not (1 <= log2_n <= _MAX_LOG2_N and 1 <= r <= _MAX_R and 1 <= p <= _MAX_P):
        raise KeyRingError("the key ring asks for more than 1 GiB to be unlocked; refused")
    try:
        secret = _stretched(passphrase, salt, log2_n, r, p)
        text = AESGCM(secret).decrypt(nonce, content[_HEADER.size :], header)
    except InvalidTag as error:
        raise KeyRingError("wrong passphrase, or the key ring was altered") from error
    return _parsed(text)


def _drawn(ring: KeyRing, passphrase: str) -> bytes:
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    return lock_ring(ring, passphrase, salt=salt, nonce=nonce)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    # Never a lock that is but a file: a killed process would leave it behind.
    place = path.with_name(f".{path.name}.lock")
    lock = FileLock(place, mode=0o600, timeout=_PATIENCE_SECONDS, fallback_to_soft=False)
    try:
        held = lock.acquire()
    except Timeout as error:
        raise KeyRingError(f"{path}: others keep changing the key ring; try again") from error
    except OSError as error:
        raise InputError(
            f"cannot write {place}: {error.strerror}; let this user write its folder"
        ) from error
    with held:
        yield


def _stretched(passphrase: str, salt: bytes, log2_n: int, r: int, p: int) -> bytes:
    try:
        return Scrypt(salt, 32, 1 << log2_n, r, p).derive(passphrase.encode())
    except (ValueError, MemoryError) as error:
        raise KeyRingError(f"the key ring cannot be unlocked here: {error}") from error


def _parsed(text: bytes) -> KeyRing:
    try:
        return KeyRing(tuple(_entry(entry) for entry in json.loads(text)))
    except MALFORMED as error:
        raise KeyRingError("the key ring was unlocked, but what it holds is malformed") from error


def _entry(entry: dict[str, str]) -> RingEntry:
    key = EnvelopeKey(bytes.fromhex(entry["key"])) if entry["key"] is not None else None
    return RingEntry(bytes.fromhex(entry["id"]), KeyState(entry["state"]), key)
