"""Packed and plain files give the same bytes; what is cut or too large is refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from sfumato.data.sets.packed import unpacked
from sfumato.errors import DataError

CONTENT = bytes(range(256)) * 40


def test_packed_and_plain_files_give_the_same(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(CONTENT)
    (tmp_path / "a.gz").write_bytes(gzip.compress(CONTENT))
    for name in ("a", "a.gz"):
        assert unpacked(tmp_path / name, len(CONTENT)) == CONTENT
        with pytest.raises(DataError, match="expected at most 10,239 bytes once unpacked"):
            unpacked(tmp_path / name, len(CONTENT) - 1)


def test_what_is_cut_damaged_or_absent_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(CONTENT)
    for content in (packed[:-4], packed[:-9] + bytes(9), b"plain"):
        (tmp_path / "a.gz").write_bytes(content)
        with pytest.raises(DataError, match="copy the file again"):
            unpacked(tmp_path / "a.gz", len(CONTENT))
    with pytest.raises(DataError, match="No such file"):
        unpacked(tmp_path / "b", 1)
