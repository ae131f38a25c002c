"""No result goes over what it needs, or into the folder that it is made of."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sfumato.errors import InputError
from sfumato.outputs import refuse_inside, refuse_lost, refuse_taken


def test_a_place_is_taken_by_anything_that_lies_there(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for path in (tmp_path, tmp_path / "link"):
        with pytest.raises(InputError, match="exists already; choose another folder for the maps"):
            refuse_taken(path, "the maps")
    refuse_taken(tmp_path / "new", "the maps")
    refuse_taken(tmp_path / ("x" * 300), "the maps")  # that none can lie there is found in writing


def test_what_is_needed_is_not_written_over_whatever_it_is_called(tmp_path: Path) -> None:
    key = tmp_path / "ring.keys"
    key.write_bytes(b"key")
    (tmp_path / "link").symlink_to(key)
    os.link(key, tmp_path / "twin")
    for path in (key, tmp_path / "link", tmp_path / "twin", tmp_path / "x" / ".." / "ring.keys"):
        with pytest.raises(InputError, match="it is read here, and would be lost; name another"):
            refuse_lost(path, [tmp_path / "other", key])
    refuse_lost(tmp_path / "new", [key])
    with pytest.raises(InputError, match="would be lost"):
        refuse_lost(tmp_path / "new", [tmp_path / "x" / ".." / "new"])  # neither is there yet


def test_a_folder_is_not_made_in_its_own_source(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "source")
    for path in ("source", "source/out", "link/out", "source/../source/a/b"):
        with pytest.raises(InputError, match="would be read with it the next time"):
            refuse_inside(tmp_path / path, tmp_path / "source")
    refuse_inside(tmp_path / "source-2", tmp_path / "source")
    refuse_inside(tmp_path, tmp_path / "source")
