"""The filter's claims hold with margins that a seed does not overturn."""

from __future__ import annotations

import pytest

from sfumato.demo.uploads import STEPS, Decided, decide_uploads


@pytest.fixture(scope="module")
def demo() -> Decided:
    notes: list[str] = []
    result = decide_uploads(seed=7, advance=notes.append)
    assert len(notes) == STEPS
    return result


@pytest.mark.slow
def test_uploads_are_decided_as_they_should_be(demo: Decided) -> None:
    own, others, stranger, person, attacker = demo.scenarios
    assert demo.accuracy > 0.94
    assert own.right > 0.95
    assert others.right > 0.95
    assert stranger.right > 0.9
    assert person.right > 0.9
    assert attacker.right > 0.85
    assert attacker.count == 9 * own.count


@pytest.mark.slow
def test_thieves_beat_the_papers_rule_and_not_the_default_one(demo: Decided) -> None:
    def stolen_blocked(rule: str) -> float:
        matrix = demo.matrices[rule]
        cells = [matrix[k][v] for k in range(10) for v in range(10) if k != v]
        return sum(cells) / len(cells)

    assert stolen_blocked("paper") < 0.8
    assert stolen_blocked("contest") > stolen_blocked("paper") + 0.15


@pytest.mark.slow
def test_a_wider_claim_blocks_more_and_shares_less(demo: Decided) -> None:
    _, blocked, shared = zip(*demo.curve, strict=True)
    assert list(blocked) == sorted(blocked)
    assert list(shared) == sorted(shared, reverse=True)
