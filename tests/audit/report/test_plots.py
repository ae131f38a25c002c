from __future__ import annotations

from dataclasses import replace

import plotly.graph_objects as go
import pytest

from sfumato.audit.report.plots import drawn, forest, frontier
from sfumato.audit.report.styles import styles
from sfumato.audit.report.verdict import Verdict
from tests.audit.findings import cell


def verdict(
    name: str, learned: float, interval: tuple[float, float] | None, kept: float
) -> Verdict:
    return Verdict(
        protector=name,
        sentence="",
        learned=learned,
        learned_interval=interval,
        kept=kept,
        best=True,
    )


def test_what_lies_beyond_the_scale_is_drawn_at_its_edge_and_told_in_figures() -> None:
    """A weak reader on originals makes shares of what it reaches go far above 100 %."""
    found = [
        verdict("inside", 0.25, (0.2, 0.4), 0.5),
        verdict("beyond", 1.87, (1.27, 2.42), 8.27),
    ]
    figure = frontier(found, styles(["inside", "beyond"]))
    assert figure is not None
    line, inside, beyond = figure.data
    assert list(zip(line.x, line.y, strict=True)) == [(50.0, 75.0), (106.0, -4.0)]
    assert (*inside.x, *inside.y) == (50.0, 75.0)
    assert [*inside.error_y.array, *inside.error_y.arrayminus] == pytest.approx([5.0, 15.0])
    assert inside.error_y.symmetric is False
    assert (*beyond.x, *beyond.y) == (106.0, -4.0)
    assert [*beyond.error_y.array, *beyond.error_y.arrayminus] == [0.0, 0.0]
    assert "useful 827 %" in beyond.hovertemplate
    assert "hidden -87 %" in beyond.hovertemplate
    across, up = figure.layout.xaxis.range, figure.layout.yaxis.range
    for least, most in (across, up):  # a mark at either end is drawn whole, and close to it
        assert -20 < least <= -4 - 5
        assert 106 + 5 <= most < 120


def test_an_interval_is_drawn_to_both_its_ends() -> None:
    measured = cell("blur", "reconstruct", 0.5, half=0.25)
    assert measured.finding is not None
    low, high = (0.5 + 0.4 * share for share in (0.25, 0.75))
    lopsided = replace(measured.finding, interval=(low + 0.05, high))
    figure = forest([replace(measured, finding=lopsided)], styles(["blur"]))
    assert figure is not None
    floor, ceiling, found = figure.data
    assert (*floor.x, *ceiling.x, *found.x) == (0.5, 0.9, 0.7)
    bars = found.error_x
    assert [*bars.array, *bars.arrayminus] == pytest.approx([0.1, 0.05])
    assert bars.symmetric is False


def test_a_chart_fits_its_column_and_has_no_toolbar() -> None:
    block = drawn(go.Figure())
    assert '"responsive": true' in block
    assert '"displayModeBar": false' in block


def test_names_take_no_room_from_the_marks() -> None:
    def height(count: int) -> int:
        names = [f"p{i}" for i in range(count)]
        figure = frontier([verdict(n, 0.5, None, 0.5) for n in names], styles(names))
        assert figure is not None
        return int(figure.layout.height)

    assert height(11) - height(2) >= 9 * 20
