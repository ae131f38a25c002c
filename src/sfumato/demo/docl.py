"""The upload filter's part of the demo."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
import torch

from sfumato.data.sheet import contact_sheet
from sfumato.demo.section import Advance, Figure, Picture, Plot, Section
from sfumato.demo.uploads import STEPS, Decided, decide_uploads

__all__ = ["STEPS", "docl_demo"]

_BLUES = [[0.0, "#f4f7fb"], [1.0, "#1f4e8c"]]
_RULES = {
    "paper": "The paper's rule, the smallest error decides",
    "contest": "Sfumato's rule, contested claims stand",
}
_SIDE = 48  # pixels a picture on the sheet


def docl_demo(*, seed: int, advance: Advance = lambda _: None) -> Section:
    """Enroll ten people on real handwritten digits and decide everybody's uploads."""
    decided = decide_uploads(seed=seed, advance=advance)
    total = sum(scenario.count for scenario in decided.scenarios)
    return Section(
        slug="docl",
        title="The upload filter",
        sentence=(
            "Ten people enrolled one kind of private picture each, on their own device; the "
            f"platform holds ten small networks and no picture, and decided {total:,} uploads."
        ),
        figures=(
            Figure(
                label="whose picture it is, named rightly",
                value=decided.accuracy,
                wanted="high",
                chance=0.1,
            ),
            *(
                Figure(
                    label=f"{s.name}: {'shared' if s.wanted == 'share' else 'blocked'}",
                    value=s.right,
                    wanted="high",
                )
                for s in decided.scenarios
            ),
        ),
        pictures=(_sheet(decided),),
        plots=(
            Plot(
                caption="A larger alpha blocks more private pictures and lets fewer others pass.",
                figure=_curve(decided.curve),
            ),
            *(
                Plot(
                    caption=f"{_RULES[rule]}: stolen pictures blocked, in percent, if the attacker "
                    "(row) trains on the victim's (column) private pictures as well; on the "
                    "diagonal, own pictures shared.",
                    figure=_heatmap(matrix),
                )
                for rule, matrix in decided.matrices.items()
            ),
        ),
    )


def _sheet(decided: Decided) -> Picture:
    pictures, captions = [], []
    for upload in decided.uploads:
        times = max(1, _SIDE // upload.picture.shape[1])
        large = upload.picture.repeat_interleave(times, 1).repeat_interleave(times, 2)
        pictures.append(large[:, :_SIDE, :_SIDE].expand(3, -1, -1))
        verdict = "blocked" if upload.blocked else "shared"
        captions.append(verdict if upload.right else f"{verdict} (wrong)")
    columns = len(pictures) // 3
    return Picture(
        caption="Uploads as they came: owners' own pictures, other people's private pictures, "
        "and faces that nobody protects.",
        png=contact_sheet(torch.stack(pictures), captions, columns=columns),
    )


def _heatmap(matrix: Sequence[Sequence[float]]) -> go.Figure:
    people = [str(i) for i in range(len(matrix))]
    figure = go.Figure(
        go.Heatmap(
            z=[[100 * value for value in row] for row in matrix],
            x=people,
            y=people,
            text=[[f"{100 * value:.0f}" for value in row] for row in matrix],
            texttemplate="%{text}",
            colorscale=_BLUES,
            zmin=0,
            zmax=100,
            showscale=False,
            hovertemplate="attacker %{y}, victim %{x}: %{z:.1f} %<extra></extra>",
        )
    )
    figure.update_xaxes(title="victim", side="top", type="category")
    figure.update_yaxes(title="attacker", autorange="reversed", type="category")
    return figure.update_layout(height=460)


def _curve(points: Sequence[tuple[float, float, float]]) -> go.Figure:
    alphas, blocked, shared = zip(*points, strict=True)
    figure = go.Figure()
    for name, values in (
        ("private pictures blocked", blocked),
        ("unprotected pictures shared", shared),
    ):
        figure.add_scatter(x=alphas, y=[100 * v for v in values], name=name, mode="lines+markers")
    figure.update_xaxes(title="alpha: edge of a claim, in standard deviations")
    figure.update_yaxes(title="%", range=[0, 103])
    return figure.update_layout(height=380, legend={"orientation": "h", "y": 1.12})
