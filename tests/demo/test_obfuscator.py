from __future__ import annotations

import pytest

from sfumato.demo.obfuscator import STEPS, obfuscator_demo


@pytest.mark.slow
def test_maps_tell_the_digit_and_show_far_less() -> None:
    notes: list[str] = []
    section = obfuscator_demo(seed=3, advance=notes.append)
    assert len(notes) == STEPS
    accuracy, plain, hidden = section.figures
    assert accuracy.value > 0.7
    assert plain.value > 0.6
    assert hidden.value < plain.value / 2
    assert section.pictures[0].png.startswith(b"\x89PNG")
