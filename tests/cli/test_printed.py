"""What the command line prints of names from outside, as a process in a plain terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(folder: Path, *words: str | bytes) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT / "src"), "PYTHONIOENCODING": "utf-8", "OMP_NUM_THREADS": "1"
    }  # fmt: skip
    command = [sys.executable, "-m", "sfumato", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)


def test_an_error_is_one_line_whatever_the_file_is_called(tmp_path: Path) -> None:
    done = run(
        tmp_path, "filter", "enroll", b"a\nb\x1b[31m\xff", "--backbone", "raw:1x4x4", "-o", "e"
    )
    assert done.returncode != 0
    assert rb"a\nb\x1b[31m\udcff" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert b"\x1b" not in done.stderr


@pytest.mark.slow
def test_a_result_is_told_though_its_name_is_no_text(tmp_path: Path) -> None:
    done = run(tmp_path, "filter", "backbone", "--spec", "raw:1x4x4", "-o", b"b\xff")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(rb"b\udcff: raw:1x4x4")
    assert os.listdir(bytes(tmp_path)) == [b"b\xff"]


@pytest.mark.slow
def test_a_name_that_is_too_long_is_an_error_and_no_traceback(tmp_path: Path) -> None:
    album = tmp_path / "album"
    album.mkdir()
    (album / "a.pgm").write_bytes(b"P5 2 2 255 abcd")
    done = run(tmp_path, "release", "blur:1", "--data", "folder:album", "-o", "x" * 300)
    assert done.stderr.startswith(b"error: cannot write ")
    assert b"File name too long" in done.stderr
