"""Labels of pictures that are not decoded yet are those of the decoded ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from sfumato.data import load
from sfumato.data.lazy import LoadedImages, open_lazily
from sfumato.data.options import SourceOptions
from sfumato.errors import DataError
from tests.data.test_folder import picture


def test_labels_are_those_of_the_decoded_set(tmp_path: Path) -> None:
    for name in ("dog/b.png", "cat/a.png", "loose.png"):
        picture(tmp_path / name, 1)
    lazy = open_lazily(f"folder:{tmp_path}", SourceOptions())
    loaded = load(f"folder:{tmp_path}")
    assert lazy.label("class").tolist() == loaded.label("class").tolist() == [0, 1, -1]
    assert LoadedImages(loaded).label("class").tolist() == [0, 1, -1]
    for source in (lazy, LoadedImages(loaded)):
        with pytest.raises(DataError, match="has no label 'who'; it has: class"):
            source.label("who")
