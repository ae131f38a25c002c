"""Identities share parts, yet any two can be told apart."""

from __future__ import annotations

from dataclasses import astuple
from itertools import combinations

import pytest

from sfumato.data.sets.people import EXPRESSIONS, PARTS, drawing, part, people, variants
from sfumato.errors import ConfigError


def test_any_two_people_differ_in_three_seen_parts_and_share_others() -> None:
    cast = people(60, seed=0)
    seen = [name for name in PARTS if name != "frame"]
    for first, second in combinations(cast, 2):
        assert sum(part(first, name) != part(second, name) for name in seen) >= 3
    for name in PARTS:
        assert len({part(person, name) for person in cast}) < len(cast) / 2


def test_more_people_are_the_same_people_and_then_some() -> None:
    assert people(30, seed=4)[:10] == people(10, seed=4)
    assert people(10, seed=4) != people(10, seed=5)
    with pytest.raises(ConfigError, match="expected 1 to 1,000 identities, got 0"):
        people(0, seed=0)


def test_every_listed_part_can_be_drawn_and_every_look_is_another() -> None:
    for name, values in PARTS.items():
        for i in range(len(values)):
            person = people(1, seed=0)[0]
            changed = list(astuple(person))
            changed[list(PARTS).index(name)] = i
            assert drawing(type(person)(*changed), 0, 0, True).startswith("<svg")
    person = people(1, seed=0)[0]
    looks = [
        drawing(person, expression, variant, glasses)
        for expression in range(len(EXPRESSIONS))
        for variant in range(variants(expression))
        for glasses in (False, True)
    ]
    assert len(set(looks)) == len(looks)
