"""The demo's report: one HTML file that opens from disk and asks no network for anything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import plotly.graph_objects as go
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from sfumato.data.decoding.decode import png_url
from sfumato.demo.section import Figure, Section
from sfumato.files import write_bytes

_GREY = "#7a8699"  # legible on white and on black


def write_report(sections: Sequence[Section], path: Path, *, command: str, seconds: float) -> None:
    """Render the sections to `path`, whole or not at all."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("sfumato.demo"), PackageLoader("sfumato.audit.report")]),
        autoescape=True,
        undefined=StrictUndefined,
    )
    environment.filters["data_url"] = png_url
    environment.filters["drawn"] = _drawn
    environment.filters["shown"] = shown
    html = environment.get_template("report.html.j2").render(
        sections=sections, command=command, seconds=seconds, plotly_js=get_plotlyjs()
    )
    write_bytes(path, html.encode())


def shown(figure: Figure) -> str:
    """Return a figure as text: its share in percent, beside chance where that means something."""
    text = f"{100 * figure.value:.1f} %"
    return text if figure.chance is None else f"{text} (chance {100 * figure.chance:.1f} %)"


def _drawn(figure: go.Figure) -> str:
    """Return the figure as a block of HTML; the page itself holds the drawing library, once."""
    figure.update_layout(
        template="plotly_white",
        font={"color": _GREY},
        margin={"l": 56, "r": 16, "t": 48, "b": 48},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    html: str = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        config={"displayModeBar": False, "responsive": True},
    )
    return html
