"""The table of sources: what it promises holds for every entry."""

from __future__ import annotations

import pytest
import torch

from sfumato.data import SOURCES, load
from sfumato.errors import ConfigError, DataError


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(DataError, match=r"no data set is called 'minst'.*mnist"):
        load("minst")


def test_digits_are_all_there_and_use_the_full_range() -> None:
    digits = load("digits")
    assert digits.images.shape == (SOURCES["digits"].count, 1, 8, 8)
    assert (int(digits.images.min()), int(digits.images.max())) == (0, 255)
    assert digits.label("digit").bincount().min() >= 174
    assert load("digits", size=16, channels=3, count=5).images.shape == (5, 3, 16, 16)
    with pytest.raises(DataError, match="no published split 'test'"):
        load("digits", split="test")


def test_a_set_is_the_same_wherever_it_is_loaded() -> None:
    assert load("digits", count=50).fingerprint() == load("digits", count=50).fingerprint()
    assert not torch.equal(load("digits", count=50).images, load("digits", count=50, seed=1).images)


@pytest.mark.parametrize(
    "options", [{"count": 0}, {"size": 0}, {"size": (3, -1)}, {"box": (5, 0, 5, 3)}]
)
def test_options_out_of_range_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"count|size|box"):
        load("digits", **options)
