"""A finding that names people: pictures of one person are one witness, not many."""

from __future__ import annotations

import pytest
import torch

from sfumato.attack.tools.naming import naming
from sfumato.types import Details, Finding


def _named(groups: torch.Tensor | None) -> Finding:
    """Ten people of twelve pictures; three of them are always named, and nobody else ever."""
    hits = (torch.arange(10) < 3).float().repeat_interleave(12)
    return naming(
        "reidentify", "p", "rank1_accuracy", hits=hits[None], guessed=hits > 0, seeds=(0,),
        details=Details(), groups=groups,
    )  # fmt: skip


def test_people_are_drawn_anew_for_the_interval_where_they_are_known() -> None:
    people, pictures = _named(torch.arange(10).repeat_interleave(12)), _named(None)
    for found in (people, pictures):
        assert found.value == found.floor == pytest.approx(0.3)
    assert pictures.interval[1] < 0.39
    # Of ten people the share of those who can be named is known to three tenths, not to one.
    assert people.interval[0] < 0.11
    assert people.interval[1] > 0.55
    assert people.floor_interval is not None
    assert people.floor_interval[1] > 0.55
