from __future__ import annotations

import pytest

from sfumato.demo.san import STEPS, san_demo


@pytest.mark.slow
def test_a_strange_classifier_is_misled_and_a_retrained_one_is_not() -> None:
    notes: list[str] = []
    section = san_demo(seed=3, advance=notes.append)
    assert len(notes) == STEPS
    original, misled, retrained, matched, still = section.figures
    assert original.value > 0.8
    assert 0.5 <= misled.value < 0.7  # read backwards: an area of 0.4 says as much as one of 0.6
    assert misled.value < original.value - 0.15
    assert retrained.value > 0.8
    assert matched.value > 0.85
    assert still.value > 0.65
    assert section.pictures[0].png.startswith(b"\x89PNG")
    assert len(section.plots[0].figure.data) == 4
