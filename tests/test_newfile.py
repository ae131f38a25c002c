"""A new file is written by one alone, and by nobody in part."""

from __future__ import annotations

import errno
import os
from multiprocessing.pool import ThreadPool
from pathlib import Path

import pytest

from sfumato.newfile import write_first


def test_the_first_one_writes_and_nobody_replaces_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secret"
    with ThreadPool(8) as pool:
        wrote = pool.map(lambda i: write_first(path, bytes([i]) * 64), range(8))
    assert wrote.count(True) == 1
    assert path.read_bytes() == bytes([wrote.index(True)]) * 64
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["secret"]
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "nowhere")
    assert not write_first(dangling, b"x")
    assert not (tmp_path / "nowhere").exists()


def test_a_file_system_without_hard_links_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refused)
    path = tmp_path / "secret"
    assert write_first(path, b"mine")
    assert not write_first(path, b"another")
    assert path.read_bytes() == b"mine"
    assert path.stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(os, "fsync", lambda handle: refused() if handle == failing[0] else None)
    failing = [-1]
    opened = os.open

    def noted(name: str, *how: int, **more: int) -> int:
        handle = opened(name, *how, **more)
        failing[0] = handle if str(name).endswith("full") else failing[0]
        return handle

    monkeypatch.setattr(os, "open", noted)
    with pytest.raises(PermissionError):
        write_first(tmp_path / "full", b"half")
    assert [each.name for each in tmp_path.iterdir()] == ["secret"]
