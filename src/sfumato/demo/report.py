"""The demo's report: one HTML file that opens from disk and asks no network for anything."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

import plotly.graph_objects as go
from jaxtyping import UInt8
from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs
from torch import Tensor

from sfumato.data.decode import encode_png
from sfumato.demo.docl import DoclDemo
from sfumato.files import write_bytes

_SHOWN_SIDE = 64  # pixels; 8x8 pictures are unreadable at their own size
_BLUES = [[0.0, "#f4f7fb"], [1.0, "#1f4e8c"]]
_RULE_NAMES = {
    "paper": "the paper's rule: the smallest error decides",
    "contest": "Sfumato's rule: contested claims stand",
}


def write_report(demo: DoclDemo, path: Path, *, seed: int, seconds: float) -> None:
    """Render the report to `path`, whole or not at all."""
    environment = Environment(
        loader=PackageLoader("sfumato.demo"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["picture"] = _data_url
    html = environment.get_template("report.html.j2").render(
        demo=demo,
        matrices={_RULE_NAMES[rule]: _heatmap(m) for rule, m in demo.matrices.items()},
        curve=_curve(demo.curve),
        seed=seed,
        seconds=seconds,
        plotly_js=get_plotlyjs(),
    )
    write_bytes(path, html.encode())


def _data_url(picture: UInt8[Tensor, "c h w"]) -> str:
    times = max(1, _SHOWN_SIDE // picture.shape[1])
    large = picture.repeat_interleave(times, 1).repeat_interleave(times, 2)
    return "data:image/png;base64," + base64.b64encode(encode_png(large)).decode()


def _heatmap(matrix: Sequence[Sequence[float]]) -> str:
    people = [str(i) for i in range(len(matrix))]
    cells = [[f"{100 * value:.0f}" for value in row] for row in matrix]
    figure = go.Figure(
        go.Heatmap(
            z=[[100 * value for value in row] for row in matrix],
            x=people,
            y=people,
            text=cells,
            texttemplate="%{text}",
            colorscale=_BLUES,
            zmin=0,
            zmax=100,
            showscale=False,
            hovertemplate="thief %{y}, victim %{x}: %{z:.1f} %<extra></extra>",
        )
    )
    figure.update_xaxes(title="victim", side="top", type="category")
    figure.update_yaxes(title="thief", autorange="reversed", type="category")
    return _drawn(figure, 460)


def _curve(points: Sequence[tuple[float, float, float]]) -> str:
    alphas, blocked, shared = zip(*points, strict=True)
    figure = go.Figure()
    for name, values in (
        ("private pictures blocked", blocked),
        ("unprotected pictures shared", shared),
    ):
        figure.add_scatter(x=alphas, y=[100 * v for v in values], name=name, mode="lines+markers")
    figure.update_xaxes(title="alpha: edge of a claim, in standard deviations")
    figure.update_yaxes(title="%", range=[0, 103])
    figure.update_layout(legend={"orientation": "h", "y": 1.12})
    return _drawn(figure, 380)


def _drawn(figure: go.Figure, height: int) -> str:
    """Return the figure as a block of HTML; the page itself holds the drawing library, once."""
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 56, "r": 16, "t": 48, "b": 48},
        paper_bgcolor="rgba(0,0,0,0)",
    )
    html: str = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        config={"displayModeBar": False, "responsive": True},
    )
    return html
