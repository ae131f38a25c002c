"""Shapes are checked under pytest: those of the package, and again in every test."""

from __future__ import annotations

import pytest
import torch
from jaxtyping import Float, TypeCheckError, jaxtyped
from torch import Tensor

from sfumato.filter.oneclass import squared_error
from tests.shapes import begin_test, checked


def test_the_package_is_checked() -> None:
    with pytest.raises(TypeCheckError):
        squared_error(torch.zeros(2, 3), torch.zeros(2, 3))


def test_the_first_calls_of_every_test_are_checked() -> None:
    @jaxtyped(typechecker=checked)
    def count(rows: Float[Tensor, "n d"]) -> int:
        return len(rows)

    good, bad = torch.zeros(2, 3), torch.zeros(2)
    for _ in range(3):
        assert count(good) == 2
    with pytest.raises(TypeCheckError, match="n d"):
        count(bad)
    for _ in range(200):
        count(good)
    assert count(bad) == 2, "else every call is checked, which takes a third of the suite's time"
    begin_test()
    with pytest.raises(TypeCheckError, match="n d"):
        count(bad)
