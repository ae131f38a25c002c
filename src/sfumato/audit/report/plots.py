"""The report's charts. Marks and dashes tell lines apart where colours cannot."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from sfumato.audit.measure.cell import Cell
from sfumato.audit.report.styles import Style, row_name
from sfumato.audit.report.verdict import Verdict

_ROW = 34  # pixels a protector in a chart with one row each
_ENTRY = 22  # pixels of a name in the legend
_ENDS = (-4.0, 106.0)  # per cent; what is beyond is drawn there


def frontier(found: Sequence[Verdict], style: Mapping[str, Style]) -> go.Figure | None:
    """Draw what each protector hides against what it keeps; None where either was not measured."""
    figure = go.Figure()
    for v in found:
        if v.learned is None or v.kept is None:
            continue
        useful, hidden = 100 * v.kept, 100 * (1 - v.learned)
        look, name = style[v.protector], html.escape(v.protector)
        ends = [_on_scale(100 * (1 - e)) for e in v.learned_interval or (v.learned, v.learned)]
        figure.add_scatter(
            x=[_on_scale(useful)],
            y=[_on_scale(hidden)],
            error_y={
                "array": [ends[0] - _on_scale(hidden)],
                "arrayminus": [_on_scale(hidden) - ends[1]],
                "symmetric": False,
                "thickness": 1.5,
            },
            mode="markers",
            name=name,
            marker={"size": 13, "symbol": look.mark, "color": look.colour},
            hovertemplate=f"{name}<br>useful {useful:.0f} %<br>hidden {hidden:.0f} %"
            "<extra></extra>",
        )
    if not figure.data:
        return None
    best = sorted(
        (_on_scale(100 * v.kept), _on_scale(100 * (1 - v.learned)))
        for v in found
        if v.best and v.kept is not None and v.learned is not None
    )
    figure.add_scatter(
        x=[x for x, _ in best],
        y=[y for _, y in best],
        mode="lines",
        line={"dash": "dot", "color": "#7f7f7f", "width": 1.5},
        hoverinfo="skip",
        showlegend=False,
    )
    figure.data = (figure.data[-1], *figure.data[:-1])
    figure.update_xaxes(title="stays useful, %", range=[_ENDS[0] - 6, _ENDS[1] + 6])
    figure.update_yaxes(title="hidden, %", range=[_ENDS[0] - 10, _ENDS[1] + 8])
    # Names beside the marks would lie over each other where releases are alike.
    return _laid_out(figure, height=270 + _ENTRY * len(figure.data))


def _on_scale(percent: float) -> float:
    """Return where a share is drawn; one beyond the axis is drawn at its end."""
    return min(max(percent, _ENDS[0]), _ENDS[1])


def forest(cells: Sequence[Cell], style: Mapping[str, Style]) -> go.Figure | None:
    """Draw each protector's figure with its interval between floor and ceiling."""
    found = [(cell, cell.finding) for cell in cells if cell.finding is not None]
    if not found:
        return None
    figure = go.Figure()
    for kind, symbol in (("floor", "line-ns"), ("ceiling", "line-ns")):
        pairs = [(row_name(cell), getattr(f, kind)) for cell, f in found]
        figure.add_scatter(
            x=[value if value == value else None for _, value in pairs],
            y=[html.escape(name) for name, _ in pairs],
            mode="markers",
            name=f"{kind} ({'thin' if kind == 'floor' else 'thick'})",
            marker={
                "symbol": symbol,
                "size": 20,
                "line": {"width": 1.5 if kind == "floor" else 4, "color": "#7f7f7f"},
            },
            hovertemplate=f"{kind} %{{x:.3f}}<extra></extra>",
        )
    for cell, finding in found:
        (low, high), look = finding.interval, style[cell.protector]
        figure.add_scatter(
            x=[finding.value],
            y=[html.escape(row_name(cell))],
            error_x={
                "array": [high - finding.value],
                "arrayminus": [finding.value - low],
                "symmetric": False,
            },
            mode="markers",
            showlegend=False,
            marker={"size": 11, "symbol": look.mark, "color": look.colour},
            hovertemplate=f"%{{y}}<br>%{{x:.3f}} ({low:.3f} to {high:.3f})<extra></extra>",
        )
    figure.update_yaxes(autorange="reversed", type="category", ticksuffix="  ")
    return _laid_out(figure, height=110 + _ROW * len(found))


def roc(cells: Sequence[Cell], style: Mapping[str, Style]) -> go.Figure | None:
    """Draw the ROC curves of an attack that matches pairs; None where it left none."""
    figure = go.Figure()
    for cell in cells:
        curve = None if cell.finding is None else cell.finding.details.roc
        if curve is not None:
            figure.add_scatter(
                x=list(curve.far),
                y=list(curve.tar),
                hovertemplate="accepted wrongly %{x:.2f}<br>rightly %{y:.2f}",
                **_line(cell, style),
            )
    if not figure.data:
        return None
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        name="guessing",
        line={"dash": "dot", "color": "#7f7f7f", "width": 1},
        hoverinfo="skip",
    )
    figure.update_xaxes(title="pairs of two people accepted", range=[0, 1])
    figure.update_yaxes(title="pairs of one person accepted", range=[0, 1.02])
    return _laid_out(figure, height=400)


def curves(cells: Sequence[Cell], style: Mapping[str, Style]) -> go.Figure | None:
    """Draw how the attackers that count got better in training, with a star at the epoch used."""
    figure = go.Figure()
    for cell in cells:
        for i, (learner, best, validated) in enumerate(_validated(cell)):
            figure.add_scatter(
                x=list(range(1, len(validated) + 1)),
                y=list(validated),
                hovertemplate=f"{html.escape(learner)}, epoch %{{x}}: %{{y:.3f}}",
                legendgroup=row_name(cell),
                showlegend=i == 0,
                **_line(cell, style),
            )
            if 0 <= best < len(validated):
                figure.add_scatter(
                    x=[best + 1],
                    y=[validated[best]],
                    mode="markers",
                    marker={"symbol": "star", "size": 12, "color": style[cell.protector].colour},
                    legendgroup=row_name(cell),
                    showlegend=False,
                    hoverinfo="skip",
                )
    if not figure.data:
        return None
    figure.update_xaxes(title="epoch", rangemode="tozero")
    figure.update_yaxes(title="figure on held-out pictures")
    return _laid_out(figure, height=340)


def _validated(cell: Cell) -> list[tuple[str, int, tuple[float, ...]]]:
    """Return learner, best epoch and curve of each run that counts and left a curve."""
    every = () if cell.finding is None else cell.finding.details.trained
    found = [
        (one.learner, one.training.best_epoch, one.training.curves.get("validated", ()))
        for one in every
        if one.chosen and one.training is not None
    ]
    return [run for run in found if run[2]]


def drawn(figure: go.Figure) -> str:
    """Return a chart as a block of HTML; the page itself holds the drawing library, once."""
    block: str = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        config={"displayModeBar": False, "responsive": True},
    )
    return block


def _line(cell: Cell, style: Mapping[str, Style]) -> dict[str, Any]:
    look = style[cell.protector]
    return {
        "mode": "lines",
        "name": html.escape(row_name(cell)),
        "line": {"color": look.colour, "dash": look.dash, "width": 2},
    }


def _laid_out(figure: go.Figure, *, height: int, legend: bool = True) -> go.Figure:
    figure.update_layout(
        template="plotly_white",
        height=height,
        showlegend=legend,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        margin={"l": 12, "r": 12, "t": 24, "b": 12},
        font={"family": "system-ui, sans-serif", "size": 13},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    figure.update_xaxes(automargin=True, zeroline=False)
    figure.update_yaxes(automargin=True, zeroline=False)
    return figure
