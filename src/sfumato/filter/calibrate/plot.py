"""A calibration as a page with two charts over the size of the bank."""

from __future__ import annotations

import math

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sfumato.filter.calibrate.calibrate import Calibration
from sfumato.filter.calibrate.trial import Rates, Size

# Okabe and Ito's colours, which people see apart with any kind of colour blindness.
_OURS, _PAPER, _LINE = "#0072b2", "#d55e00", "#7f7f7f"
_LEAST = 0.01  # per cent; a logarithmic axis has no 0
_TITLES = ("strangers' uploads blocked, %", "new pictures of enrolled people blocked, %")


def page(found: Calibration) -> bytes:
    """Return the charts as one HTML file that needs nothing else."""
    text: str = charts(found).to_html(full_html=True, include_plotlyjs=True)
    return text.encode()


def charts(found: Calibration) -> go.Figure:
    """Draw what banks of each size block of strangers, and of enrolled people if it was tried."""
    simulated = found.honesty is not None
    figure = make_subplots(rows=1, cols=1 + simulated, subplot_titles=_TITLES[: 1 + simulated])
    sizes, target = found.trial.sizes, found.policy.false_blocks
    measured = [size for size in sizes if not size.extrapolated]
    ours = [(size, _at(size.calibrated, target)) for size in measured]
    figure.add_trace(_false("our rule", ours, _OURS, "circle"), row=1, col=1)
    for column, dash in enumerate(("dot", "dash", "solid")):
        paper = [(size, size.paper[column]) for size in measured]
        name = f"the paper's interval, alpha {paper[0][1].threshold:g}"
        figure.add_trace(_false(name, paper, _PAPER, "square", dash), row=1, col=1)
    figure.add_hline(y=math.log10(100 * target), line={"dash": "dot", "color": _LINE}, row=1, col=1)
    figure.update_yaxes(type="log", row=1, col=1)
    if simulated:
        for extrapolated, dash in ((False, "solid"), (True, "dot")):
            figure.add_trace(_blocked(found, extrapolated, dash), row=1, col=2)
        figure.update_yaxes(range=[0, 102], row=1, col=2)
    figure.update_xaxes(type="log", title="enrollments in the bank")
    figure.update_layout(
        template="plotly_white", height=480, legend={"orientation": "h", "y": -0.2}
    )
    return figure


def _at(rates: tuple[Rates, ...], threshold: float) -> Rates:
    return next(r for r in rates if r.threshold == threshold)


def _false(
    name: str, points: list[tuple[Size, Rates]], colour: str, mark: str, dash: str = "solid"
) -> go.Scatter:
    values = [100 * (rates.strangers or 0) for _, rates in points]
    ends = [rates.interval or (0.0, 0.0) for _, rates in points]
    return go.Scatter(
        x=[size.enrollments for size, _ in points],
        y=[max(value, _LEAST) for value in values],
        error_y={
            "array": [100 * high - v for v, (_, high) in zip(values, ends, strict=True)],
            "arrayminus": [v - 100 * low for v, (low, _) in zip(values, ends, strict=True)],
            "symmetric": False,
        },
        mode="lines+markers",
        name=name,
        marker={"symbol": mark, "size": 9, "color": colour},
        line={"color": colour, "dash": dash},
    )


def _blocked(found: Calibration, extrapolated: bool, dash: str) -> go.Scatter:
    last = found.enrolled
    shown = [
        size
        for size in found.trial.sizes
        if size.extrapolated == extrapolated or (extrapolated and size.enrollments == last)
    ]
    rates = [_at(size.calibrated, found.policy.false_blocks) for size in shown]
    return go.Scatter(
        x=[size.enrollments for size in shown],
        y=[100 * (r.enrolled or 0) for r in rates],
        mode="lines+markers",
        name="our rule, extrapolated" if extrapolated else "our rule, measured",
        marker={"symbol": "circle-open" if extrapolated else "circle", "size": 9, "color": _OURS},
        line={"color": _OURS, "dash": dash},
    )
