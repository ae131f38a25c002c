from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sfumato.audit.report.compare import compare
from tests.audit.findings import cell, report


def _changes(*pairs: tuple[object, object]) -> list[str]:
    before = report(*(a for a, _ in pairs if a is not None))  # type: ignore[arg-type]
    after = report(*(b for _, b in pairs if b is not None))  # type: ignore[arg-type]
    return [line.change for line in compare(before, after).lines]


def test_less_leakage_and_more_use_are_better() -> None:
    assert _changes(
        (cell("p", "reconstruct", 0.8), cell("p", "reconstruct", 0.3)),
        (cell("p", "attributes:mood", 0.3), cell("p", "attributes:mood", 0.8)),
        (cell("p", "quality", 0.3, role="utility"), cell("p", "quality", 0.8, role="utility")),
        (cell("p", "verify", 0.30), cell("p", "verify", 0.35)),
        (cell("q", "verify", 0.30), None),
        (cell("p", "x", error="broke"), cell("p", "x", 0.5)),
        (None, cell("r", "verify", 0.30)),
    ) == ["better", "worse", "better", "no clear change", "gone", "not comparable", "new"]


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_other_way_round_says_the_opposite(a: float, b: float) -> None:
    opposite = {"better": "worse", "worse": "better", "no clear change": "no clear change"}
    (there,) = _changes((cell("p", "verify", a), cell("p", "verify", b)))
    (back,) = _changes((cell("p", "verify", b), cell("p", "verify", a)))
    assert back == opposite[there]


def test_other_data_and_other_effort_are_noted() -> None:
    one = report(cell("p", "verify", 0.3))
    assert compare(one, one).notes == ()
    other = report(cell("p", "verify", 0.3), fingerprint="cd", seeds=(0, 1))
    notes = compare(one, other).notes
    assert any("victims" in note for note in notes)
    assert any("seeds: [0] before, [0, 1] after" in note for note in notes)
