"""What a calibration measured is what its charts show."""

from __future__ import annotations

import math

import pytest
import torch

from sfumato.features.policy import LEAST_COHORT, Policy
from sfumato.filter.calibrate.calibrate import Calibration, CalibrationConfig
from sfumato.filter.calibrate.honesty import Honesty
from sfumato.filter.calibrate.plot import charts, page
from sfumato.filter.calibrate.trial import Rates, Size, Trial

TARGET = 0.01


def rates(threshold: float, strangers: float | None, enrolled: float | None) -> Rates:
    ends = None if strangers is None else (strangers / 2, 3 * strangers)
    return Rates(threshold=threshold, strangers=strangers, interval=ends, enrolled=enrolled)


def size(enrollments: int, strangers: float | None, enrolled: float | None) -> Size:
    paper = tuple(rates(alpha, 0.3, None) for alpha in (1.0, 2.0, 3.0))
    return Size(
        enrollments=enrollments,
        extrapolated=strangers is None,
        calibrated=(rates(TARGET, strangers, enrolled), rates(0.1, 0.5, 0.5)),
        paper=() if strangers is None else paper,
    )


def calibration(*, simulated: bool) -> Calibration:
    cohort = torch.rand(LEAST_COHORT, 4)
    return Calibration(
        policy=Policy(cohort=cohort, dimension=8.0, false_blocks=TARGET, contested=0.5),
        trial=Trial(
            dimension=8.0, sizes=(size(10, 0.0, 0.9), size(100, 0.02, 0.8), size(1000, None, 0.7))
        ),
        honesty=Honesty(contested=0.5, honest=0.0, attackers=1.0) if simulated else None,
        enrolled=100,
        config=CalibrationConfig(),
        uploads=3,
        strangers=50,
        measured_cohort=LEAST_COHORT,
    )


def test_shares_are_drawn_in_per_cent_with_both_ends_of_their_intervals() -> None:
    ours, *papers, measured, further = charts(calibration(simulated=True)).data
    assert list(ours.x) == [10, 100]
    assert list(ours.y) == pytest.approx([0.01, 2.0])  # no share of 0 on a logarithmic axis
    assert list(ours.error_y.array) == pytest.approx([0.0, 4.0])
    assert list(ours.error_y.arrayminus) == pytest.approx([0.0, 1.0])
    assert ours.error_y.symmetric is False
    for paper, alpha in zip(papers, (1, 2, 3), strict=True):
        assert paper.name.endswith(f"alpha {alpha}")
        assert list(paper.y) == pytest.approx([30.0, 30.0])
    assert list(zip(measured.x, measured.y, strict=True)) == [(10, 90.0), (100, 80.0)]
    assert list(zip(further.x, further.y, strict=True)) == [(100, 80.0), (1000, 70.0)]
    assert further.name.endswith("extrapolated")


def test_a_bank_that_is_there_has_one_chart_with_its_promise() -> None:
    figure = charts(calibration(simulated=False))
    assert len(figure.data) == 4
    (line,) = figure.layout.shapes
    assert line.y0 == line.y1 == math.log10(100 * TARGET)


def test_the_page_needs_no_other_host() -> None:
    text = page(calibration(simulated=True)).decode()
    assert "Plotly.newPlot" in text
    assert "<script src=" not in text
