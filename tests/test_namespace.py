"""The top level is small, typed, listed in the documentation, and costs nothing to import."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import sfumato

ROOT = Path(__file__).parents[1]


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )


def test_importing_it_imports_nothing_else() -> None:
    code = """
import sys
before = set(sys.modules)
import sfumato
assert dir(sfumato) == sorted(sfumato.__all__)
new = {name for name in set(sys.modules) - before if not name.startswith("sfumato")}
# What the standard library brings along is its own affair.
print(sorted(name for name in new if name.split(".")[0] not in sys.stdlib_module_names))
"""
    done = python(code)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_every_name_is_the_one_of_its_module() -> None:
    from sfumato.cipher.shufflebits import ShuffleBits
    from sfumato.protect.pretrained import open_pretrained
    from sfumato.types import Protector

    assert dir(sfumato) == sorted(sfumato.__all__)
    assert sfumato.ShuffleBits is ShuffleBits
    assert sfumato.open_pretrained is open_pretrained
    assert sfumato.Protector is Protector
    assert callable(sfumato.audit.audit)
    assert all(getattr(sfumato, name) is not None for name in sfumato.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'sfumato' has no attribute 'protekt'"):
        sfumato.protekt  # noqa: B018
    assert not hasattr(sfumato, "load")


@pytest.mark.parametrize("first", ["sfumato.audit", "sfumato.audit.run"])
def test_the_audit_is_the_same_however_it_was_imported(first: str) -> None:
    code = f"import {first}, sfumato; assert callable(sfumato.audit.audit)"
    done = python(code)
    assert done.returncode == 0, done.stderr


def test_the_page_lists_every_name() -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    listed = re.findall(r"^\| `sfumato\.(\w+)` \|", page, re.M)
    assert sorted(listed) == sorted(set(sfumato.__all__))
