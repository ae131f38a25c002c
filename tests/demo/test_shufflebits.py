from __future__ import annotations

import pytest

from sfumato.demo.shufflebits import STEPS, shufflebits_demo


@pytest.mark.slow
def test_only_the_envelope_stops_every_attack() -> None:
    notes: list[str] = []
    section = shufflebits_demo(seed=3, advance=notes.append)
    assert len(notes) == STEPS
    clear, shuffled, counted, sealed, broken, walled = section.figures
    assert clear.value > 0.9
    assert shuffled.value < 0.5
    assert counted.value > 0.9
    assert sealed.value < 0.2
    assert broken.chance is not None
    assert broken.value > broken.chance + 0.1
    assert walled.value == walled.chance
