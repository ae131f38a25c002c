from __future__ import annotations

import pytest

from sfumato.demo.anonymizer import STEPS, anonymizer_demo


@pytest.mark.slow
def test_people_are_hidden_and_expressions_are_not() -> None:
    notes: list[str] = []
    section = anonymizer_demo(seed=3, advance=notes.append)
    assert len(notes) == STEPS
    who, hidden, expression, kept = section.figures
    assert hidden.chance is not None
    assert kept.chance is not None
    assert who.value > 0.9
    assert hidden.value < hidden.chance + 0.1
    assert expression.value > 0.8
    assert kept.value > 2 * kept.chance
    assert section.pictures[0].png.startswith(b"\x89PNG")
