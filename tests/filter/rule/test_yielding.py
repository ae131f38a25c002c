"""A near copy yields to the uploader's class only where its own class does not know the picture."""

from __future__ import annotations

import pytest

from sfumato.filter.rule.yielding import ClassScore, yields

THIEF = ClassScore("thief", 5.0, claims=False)
OWNER = ClassScore("owner", 0.5, claims=True)
NOTHING: set[tuple[str, str]] = set()


@pytest.mark.parametrize(
    ("scores", "contested", "expected"),
    [
        ([THIEF, OWNER], NOTHING, True),
        ([OWNER, ClassScore("other", 9.0, claims=False), THIEF], NOTHING, True),
        ([THIEF], NOTHING, False),
        ([OWNER], NOTHING, False),  # gone meanwhile: nothing to compare with
        ([ClassScore("thief", 5.0, claims=True), OWNER], NOTHING, False),
        ([THIEF, ClassScore("owner", 0.5, claims=False)], NOTHING, False),
        ([THIEF, ClassScore("owner", 6.0, claims=True)], NOTHING, False),
        ([THIEF, ClassScore("owner", 5.0, claims=True)], NOTHING, False),  # equal is not smaller
        ([THIEF, ClassScore("other", 6.0, claims=True), OWNER], NOTHING, True),
        ([THIEF, OWNER], {("owner", "thief")}, False),
        ([THIEF, OWNER], {("thief", "owner")}, True),
    ],
)
def test_who_yields(
    scores: list[ClassScore], contested: set[tuple[str, str]], expected: bool
) -> None:
    assert yields("thief", scores, contested) is expected


def test_the_own_class_of_the_copied_is_no_class_of_the_uploader() -> None:
    """It comes among the scores, and would yield to itself."""
    assert not yields("thief", [THIEF, ClassScore("thief", 5.0, claims=False)], NOTHING)
