from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.photo.names import contested, kept_names


def test_a_file_keeps_its_name_before_another_takes_it() -> None:
    assert kept_names({"a.bmp": "a.png", "a.png": "a.png", "b.tif": "b.png"}) == {
        "a.png": "a.png", "a.bmp": "a.bmp.png", "b.tif": "b.png",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "given_"),
    [
        ({"a.jpg": "a.jpg", "A.JPG": "A.JPG"}, {"A.JPG": "A.JPG", "a.jpg": "a.jpg.jpg"}),
        ({"a.bmp": "a.png", "a.png/b.png": "a.png/b.png"}, {"a.bmp": "a.bmp.png"}),
        (
            {"a.bmp": "a.png", "a.png": "a.png", "a.bmp.png": "a.bmp.png"},
            {"a.bmp": "a.bmp-2.png", "a.bmp.png": "a.bmp.png"},
        ),
    ],
)
def test_no_disk_holds_two_of_one_name(wanted: dict[str, str], given_: dict[str, str]) -> None:
    assert kept_names(wanted).items() >= given_.items()


@given(st.sets(st.text("aA.", min_size=1, max_size=5), max_size=12))
def test_names_always_differ(files: set[str]) -> None:
    wanted = {file: f"{file.partition('.')[0]}.png" for file in files}
    names = kept_names(wanted)
    assert names.keys() == wanted.keys()
    assert len({name.casefold() for name in names.values()}) == len(files)


def test_contested_names_are_told() -> None:
    assert contested({"a.bmp": "a.png", "A.tif": "A.png", "b.png": "b.png"}) == ["a.bmp", "A.tif"]
