"""Features files are sealed and opened whole, in constant memory, or not at all."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sfumato.cipher.featurefile import map_features, open_file, seal_file, write_features
from sfumato.cipher.header import DTYPES, Suite
from sfumato.cipher.keys import EnvelopeKey, KeyRing
from sfumato.errors import EnvelopeError, FormatError, InputError, KeyRingError

RING = KeyRing.create(EnvelopeKey(b"k" * 32))


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    return tmp_path / "a.features", tmp_path / "a.envelope", tmp_path / "b.features"


@pytest.mark.parametrize("dtype", DTYPES.values())
@pytest.mark.parametrize("suite", [Suite.AES_256_GCM, Suite.CHACHA20_POLY1305_SHUFFLEBITS])
def test_a_file_comes_back_as_it_was(
    files: tuple[Path, Path, Path], dtype: torch.dtype, suite: Suite
) -> None:
    plain, envelope, opened = files
    features = torch.arange(60).reshape(3, 20).to(dtype)
    write_features(features, plain, {"backbone": "x"})
    seal_file(plain, envelope, RING.primary, suite=suite)
    open_file(envelope, opened, RING)
    assert torch.equal(load_file(opened)["features"], features)
    assert torch.equal(map_features(opened), features)
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in (plain, opened))


@pytest.mark.parametrize("fault", ["cut", "appended", "last bit", "empty"])
def test_a_damaged_envelope_leaves_no_file(files: tuple[Path, Path, Path], fault: str) -> None:
    plain, envelope, opened = files
    # Three chunks: the first two are authentic when the fault is found in the last.
    write_features(torch.rand(3 << 18), plain, {})
    seal_file(plain, envelope, RING.primary)
    content = envelope.read_bytes()
    faults = {
        "cut": content[:-1],
        "appended": content + b"\0",
        "last bit": content[:-1] + bytes([content[-1] ^ 1]),
        "empty": b"",
    }
    envelope.write_bytes(faults[fault])
    with pytest.raises(EnvelopeError):
        open_file(envelope, opened, RING)
    assert sorted(path.name for path in opened.parent.iterdir()) == ["a.envelope", "a.features"]


def test_wrong_and_retired_keys_and_missing_files(files: tuple[Path, Path, Path]) -> None:
    plain, envelope, opened = files
    write_features(torch.rand(4), plain, {})
    seal_file(plain, envelope, RING.primary)
    with pytest.raises(EnvelopeError):
        open_file(envelope, opened, KeyRing.create())
    rotated = RING.add()
    rotated = rotated.promote(rotated.entries[1].id).retire(RING.primary.id)
    with pytest.raises(KeyRingError, match="was retired"):
        open_file(envelope, opened, rotated)
    with pytest.raises(InputError, match="cannot read the envelope"):
        open_file(plain.with_name("none"), opened, RING)
    with pytest.raises(EnvelopeError):
        open_file(plain, opened, RING)
    assert not opened.exists()


@pytest.mark.parametrize("content", [b"", b"not safetensors", b"\xff" * 100])
def test_what_is_no_features_file_is_refused(
    files: tuple[Path, Path, Path], content: bytes
) -> None:
    plain, envelope, _ = files
    plain.write_bytes(content)
    with pytest.raises(FormatError, match="expected a features file"):
        seal_file(plain, envelope, RING.primary)
    plain.unlink()
    with pytest.raises(FormatError, match="expected a features file"):
        seal_file(plain, envelope, RING.primary)
    assert not envelope.exists()
