"""The owner's key: one file, whoever makes it."""

from __future__ import annotations

import stat
import threading
from multiprocessing.pool import ThreadPool
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sfumato.errors import KeyRingError
from sfumato.filter.private_pictures import owner_key


def test_enrollments_made_at_once_are_signed_by_the_key_that_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    none_is_there = threading.Barrier(4)
    drawn = Ed25519PrivateKey.generate

    def generate() -> Ed25519PrivateKey:
        none_is_there.wait()
        return drawn()

    monkeypatch.setattr(Ed25519PrivateKey, "generate", generate)
    path = tmp_path / "owner.pem"
    with ThreadPool(4) as pool:
        made = pool.map(owner_key, [path] * 4)
    kept, fresh = owner_key(path)
    assert {key.private_bytes_raw() for key, _ in made} == {kept.private_bytes_raw()}
    assert [was_new for _, was_new in made].count(True) == 1
    assert not fresh
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_key_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(KeyRingError, match="cannot keep the key"):
        owner_key(tmp_path / "file" / "owner.pem")
