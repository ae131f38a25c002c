"""What figures show: by hand, and over random floors, ceilings and intervals."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sfumato.audit.measure.cell import Cell
from sfumato.audit.measure.evidence import evidence, victims_needed
from sfumato.audit.report.gate import gate_cases
from sfumato.audit.report.verdict import verdicts
from sfumato.types import Finding

_UNIT = st.floats(0.01, 0.3)
_PRAISE = "Gives little away"


def made(
    value: float,
    interval: tuple[float, float],
    *,
    floor: float = 0.5,
    floors: tuple[float, float] | None = None,
    ceiling: float = 0.9,
    ceilings: tuple[float, float] | None = (0.9, 0.9),
    metric: str = "accuracy",
) -> Finding:
    return Finding(
        attack="a",
        protector="p",
        metric=metric,
        value=value,
        floor=floor,
        ceiling=ceiling,
        interval=interval,
        seeds=(0,),
        floor_interval=floors,
        ceiling_interval=ceilings,
    )


def cell(finding: Finding, victims: int = 100) -> Cell:
    return Cell(protector="p", attack="a", role="privacy", key="", victims=victims, finding=finding)


@st.composite
def findings(draw: st.DrawFn) -> dict[str, Any]:
    """The figures of any finding whose ceiling's interval lies above its floor's."""
    floor = draw(st.floats(0, 0.4))
    spread = draw(_UNIT) / 4
    ceiling = draw(st.floats(0.6, 1))
    below, above = draw(_UNIT) / 4, draw(_UNIT) / 4
    value = draw(st.floats(0, 1))
    return {
        "value": value,
        "interval": (value - draw(_UNIT), value + draw(_UNIT)),
        "floor": floor,
        "floors": draw(st.sampled_from([None, (floor - spread, floor + spread)])),
        "ceiling": ceiling,
        "ceilings": (ceiling - below, ceiling + above),
        "metric": draw(st.sampled_from(["accuracy", "auc", "balanced_accuracy"])),
    }


def test_leakage_and_its_interval_by_hand() -> None:
    found = evidence(made(0.7, (0.6, 0.8)))
    assert found.share == pytest.approx(0.5)
    assert found.ends == pytest.approx((0.25, 0.75))
    assert found.shown
    assert not evidence(made(0.52, (0.45, 0.6))).shown


def test_the_ceilings_uncertainty_counts() -> None:
    """(0.7 - 0.5) / (0.9 - 0.5) is 1/2; at a ceiling of 0.8 it is 2/3, at 1.0 it is 2/5."""
    found = evidence(made(0.7, (0.7, 0.7), ceilings=(0.8, 1.0)))
    assert found.ends == pytest.approx((2 / 5, 2 / 3))
    both = evidence(made(0.7, (0.6, 0.8), ceilings=(0.8, 1.0)))
    assert both.ends == pytest.approx((0.5 - math.hypot(0.25, 0.1), 0.5 + math.hypot(0.25, 1 / 6)))
    floors = evidence(made(0.7, (0.7, 0.7), floors=(0.4, 0.6)))
    assert floors.ends == pytest.approx((1 / 3, 3 / 5))


def test_leakage_of_a_distance_grows_as_the_distance_shrinks() -> None:
    found = evidence(made(0.25, (0.2, 0.3), ceiling=0.0, ceilings=(0.0, 0.0)))
    assert found.share == pytest.approx(0.5)
    assert found.ends == pytest.approx((0.4, 0.6))
    weak = evidence(made(0.25, (0.2, 0.3), ceiling=0.45, ceilings=(0.4, 0.55)))
    assert weak.why.startswith("not measurable")


def test_a_figure_of_two_sides_is_read_backwards() -> None:
    """The three runs of the release of originals: 0.38 at a floor of 0.5 tells as much as 0.62."""
    wide = evidence(made(0.38, (0.2, 0.55), metric="auc"))
    assert wide.ends == pytest.approx((-0.75, 0.75))
    sure = evidence(made(0.2, (0.1, 0.3), metric="balanced_accuracy"))
    assert (sure.share, sure.shown) == (pytest.approx(0.75), True)
    assert sure.ends == pytest.approx((0.5, 1.0))
    used = evidence(made(0.2, (0.1, 0.3), metric="auc"), "utility")
    assert used.share == pytest.approx(-0.75)
    many = made(0.1, (0.0, 0.2), floor=0.3, metric="balanced_accuracy")
    assert evidence(many).ends == pytest.approx((-0.5, -1 / 6))


@pytest.mark.parametrize(
    ("ceiling", "ceilings"),
    [(0.505, (0.4, 0.6)), (0.7, (0.5, 0.9)), (math.nan, (0.3, 0.5)), (math.nan, None)],
)
def test_without_a_ceiling_above_the_floor_nothing_is_measurable(
    ceiling: float, ceilings: tuple[float, float] | None
) -> None:
    finding = made(0.38, (0.3, 0.45), ceiling=ceiling, ceilings=ceilings, metric="auc")
    assert evidence(finding).ends is None
    assert evidence(finding).why.startswith("not measurable")
    (case,) = gate_cases([cell(finding)], 1e9)
    assert case.outcome == "error"
    (said,) = verdicts([cell(finding)])
    assert _PRAISE not in said.sentence
    assert "Not measurable" in said.sentence


def test_a_ceiling_that_nobody_measured_proves_nothing_but_what_was_found() -> None:
    assert evidence(made(0.5, (0.45, 0.55), ceiling=1.0, ceilings=None)).ends is None
    assert evidence(made(0.7, (0.6, 0.8), ceiling=1.0, ceilings=None)).shown
    # 0.2 to 0.4 below a floor of 0.5 is as much as 0.6 to 0.8, where answers may be turned round.
    backwards = made(0.3, (0.2, 0.4), ceiling=1.0, ceilings=None, metric="auc")
    assert evidence(backwards).ends == pytest.approx((0.2, 0.6))
    assert evidence(backwards, "utility").ends is None
    assert evidence(replace(backwards, metric="accuracy")).ends is None
    assert evidence(replace(backwards, interval=(0.2, 0.5))).ends is None


@given(findings(), st.floats(0.01, 1.5))
def test_nothing_passes_whose_upper_end_is_above_the_limit(
    figures: dict[str, Any], limit: float
) -> None:
    finding = made(**figures)
    found = evidence(finding)
    assert found.share is not None
    assert found.ends is not None
    assert found.ends[0] <= found.share <= found.ends[1]
    (case,) = gate_cases([cell(finding)], limit)
    assert (case.outcome == "passed") == (found.upper <= limit)
    needed = victims_needed(found, 100, limit)
    if found.upper > limit and needed is not None:
        assert case.message.endswith(f"about {needed:,} are needed")
        assert needed >= 100


@given(findings(), st.floats(0, 0.3), st.floats(0.01, 1.5))
def test_more_doubt_and_more_learned_never_help(
    figures: dict[str, Any], more: float, limit: float
) -> None:
    finding = made(**figures)
    (low, high), ceilings = finding.interval, finding.ceiling_interval
    assert ceilings is not None
    before = evidence(finding)
    worse = [
        replace(finding, interval=(low, high + more)),
        replace(finding, ceiling_interval=(ceilings[0] - more, ceilings[1])),
    ]
    if finding.metric == "accuracy":  # of two sides, more may be nearer to the floor
        shifted = replace(finding, value=finding.value + more, interval=(low + more, high + more))
        worse.append(shifted)
    for other in worse:
        after = evidence(other)
        if after.ends is not None:
            assert after.upper >= before.upper - 1e-9
        if gate_cases([cell(finding)], limit)[0].outcome != "passed":
            assert gate_cases([cell(other)], limit)[0].outcome != "passed"


@given(findings(), st.integers(2, 10_000), st.floats(0.01, 1.0))
def test_as_many_victims_as_are_said_to_be_needed_are_enough(
    figures: dict[str, Any], victims: int, limit: float
) -> None:
    """An interval of the same figure, narrower by the root of their number, fits the limit."""
    found = evidence(made(**figures))
    assert found.share is not None
    assert found.ends is not None
    needed = victims_needed(found, victims, limit)
    if needed is None:
        assert max(found.share, 0.0) >= limit
        return
    assume(found.upper > limit)
    reach = max((found.ends[1] - found.ends[0]) / 2, found.ends[1] - max(found.share, 0.0))
    narrower = reach * math.sqrt(victims / needed)
    assert max(found.share, 0.0) + narrower <= limit + 1e-6


@given(findings())
def test_no_praise_above_a_fifth(figures: dict[str, Any]) -> None:
    finding = made(**figures)
    (said,) = verdicts([cell(finding)])
    found = evidence(finding)
    if _PRAISE in said.sentence:
        assert found.upper <= 0.2
    elif found.upper <= 0.2:
        assert found.shown
