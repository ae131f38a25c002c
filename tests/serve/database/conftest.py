"""Databases without tables: making them is what is tested here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serve.conftest import new_database


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database; every test that takes it runs on both kinds."""
    with new_database(request, tmp_path / "bank.db", made=False) as url:
        yield url
