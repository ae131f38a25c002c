from __future__ import annotations

from dataclasses import replace

import pytest
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


@pytest.mark.parametrize(("after", "change"), [(0.3125, "no clear change"), (0.328125, "worse")])
def test_intervals_that_meet_are_no_change(after: float, change: str) -> None:
    """Powers of two, so that both ends are the same number: 0.25 + 1/32 and 0.3125 - 1/32."""
    made = [cell("p", "x", share, half=1 / 32) for share in (0.25, after)]
    exact = [
        replace(
            one,
            finding=replace(
                one.finding,
                value=share,
                floor=0.0,
                ceiling=1.0,
                interval=(share - 1 / 32, share + 1 / 32),
                ceiling_interval=(1.0, 1.0),
            ),
        )
        for one, share in zip(made, (0.25, after), strict=True)
        if one.finding is not None
    ]
    assert _changes((exact[0], exact[1])) == [change]
    back = {"worse": "better"}.get(change, change)
    assert _changes((exact[1], exact[0])) == [back]


def test_a_line_has_both_shares_and_what_was_not_measured_has_none() -> None:
    before = report(cell("p", "verify", 0.25), cell("p", "x", error="broke"))
    after = report(cell("p", "verify", 0.75), cell("p", "x"))
    lines = {line["attack"]: line for line in compare(before, after).document()["lines"]}
    assert lines["verify"]["before"] == pytest.approx(0.25)
    assert lines["verify"]["after"] == pytest.approx(0.75)
    assert (lines["x"]["before"], lines["x"]["after"]) == (None, None)
    assert lines["x"]["change"] == "not comparable"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("seeds", (0, 1), "seeds: [0] before, [0, 1] after"),
        ("learners", ("probe", "trees"), "learners: ['probe'] before, ['probe', 'trees'] after"),
        ("restarts", 3, "restarts: 1 before, 3 after"),
        ("epochs", 9, "epochs: 2 before, 9 after"),
        ("precision", "bf16", "precision: no before, bf16 after"),
    ],
)
def test_each_setting_of_the_effort_is_noted_and_no_other(
    name: str, value: object, said: str
) -> None:
    one = report(cell("p", "verify", 0.3))
    other = replace(one, settings=replace(one.settings, **{name: value}))
    assert compare(one, other).notes == (said,)
    unlike = replace(one, settings=replace(one.settings, private=("age",)), sfumato="1")
    assert compare(one, unlike).notes == ("sfumato 0 before, 1 after",)


@pytest.mark.parametrize("side", ["victims", "adversary"])
def test_other_pictures_are_noted_by_side(side: str) -> None:
    one = report(cell("p", "verify", 0.3))
    theirs = replace(one.data.victims, fingerprint="cd")
    other = replace(one, data=replace(one.data, **{side: theirs}))
    assert compare(one, other).notes == (f"the pictures of the {side} are not the same",)
