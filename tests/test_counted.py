"""Numbers agree with their nouns."""

from __future__ import annotations

import pytest

from sfumato.counted import counted


@pytest.mark.parametrize(
    ("number", "words", "said"),
    [
        (0, ("picture",), "0 pictures"),
        (1, ("picture",), "1 picture"),
        (1200, ("picture",), "1,200 pictures"),
        (1, ("person", "people"), "1 person"),
        (2, ("person", "people"), "2 people"),
    ],
)
def test_a_number_has_its_noun(number: int, words: tuple[str, ...], said: str) -> None:
    assert counted(number, *words) == said
