from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.audit.verdict import verdicts
from tests.audit.findings import cell

_SHARES = st.integers(0, 4).map(lambda i: i / 4)


def test_the_worst_attack_is_the_verdict() -> None:
    (said,) = verdicts(
        [
            cell("blur", "attributes:mood", 0.9),
            cell("blur", "reconstruct", 0.3),
            cell("blur", "utility:person", 0.6, role="utility"),
        ]
    )
    assert said.learned == pytest.approx(0.9)
    assert said.learned_interval == pytest.approx((0.85, 0.95))
    assert "nearly all" in said.sentence
    assert "reading mood, 90 %" in said.sentence
    assert "much of its use (60 %)" in said.sentence


def test_only_when_every_attack_is_at_its_floor_is_nothing_given_away() -> None:
    (safe,) = verdicts([cell("p", "attributes:mood", 0.01), cell("p", "reconstruct", -0.4)])
    assert "none of 2 attacks" in safe.sentence
    # The highest share alone would be at the floor; the lower one, surely measured, is not.
    (leaky,) = verdicts(
        [cell("p", "attributes:mood", 0.1, half=0.2), cell("p", "verify", 0.09, half=0.01)]
    )
    assert "Gives little away" in leaky.sentence


def test_what_was_not_measured_is_never_a_good_verdict() -> None:
    (failed,) = verdicts([cell("p", "attributes:mood", error="no layer")])
    assert "Nothing was proved" in failed.sentence
    assert "1 of 1 measurements failed" in failed.sentence
    (undefined,) = verdicts([cell("p", "attributes:mood")])
    assert "Nothing was proved" in undefined.sentence
    assert "1 proved nothing" in undefined.sentence
    (meaningless,) = verdicts([cell("p", "bitstatistics", reason="no bits")])
    assert meaningless.learned is None
    assert "failed" not in meaningless.sentence


def test_a_use_below_its_floor_counts_as_none() -> None:
    (said,) = verdicts(
        [
            cell("p", "reconstruct", 0.5),
            cell("p", "quality", -3.0, role="utility"),
            cell("p", "utility:mood", 0.8, role="utility"),
        ]
    )
    assert said.kept == pytest.approx(0.4)


@given(st.lists(st.tuples(_SHARES, _SHARES), min_size=1, max_size=6))
def test_the_frontier_is_what_nothing_beats(points: list[tuple[float, float]]) -> None:
    cells = []
    for i, (learned, kept) in enumerate(points):
        cells.append(cell(f"p{i}", "reconstruct", learned))
        cells.append(cell(f"p{i}", "quality", kept, role="utility"))
    found = verdicts(cells)
    for one in found:
        beaten = any(
            (a.learned <= one.learned and a.kept > one.kept)  # type: ignore[operator]
            or (a.learned < one.learned and a.kept >= one.kept)  # type: ignore[operator]
            for a in found
        )
        assert one.best != beaten
