"""How the figures of this paper look: colours, and axes without a frame."""

from __future__ import annotations

from typing import Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

mpl.use("Agg")

INK, ACCENT, SOFT, PALE = "#1f2933", "#0b7285", "#c2703d", "#a9b4bf"
_LINES = "#e4e7eb"


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure with one pair of axes."""
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    axes = figure.subplots()
    bare(axes, "y")
    return figure, axes


def panels(width: float = 8.4, height: float = 3.4) -> tuple[Figure, tuple[Axes, Axes]]:
    """Return a figure with two pairs of axes side by side."""
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes in (left, right):
        bare(axes)
    return figure, (left, right)


def bare(axes: Axes, lines: Literal["both", "x", "y"] = "both") -> None:
    """Take the frame off, and draw faint lines behind what is drawn."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=lines, color=_LINES, lw=0.6)
    axes.set_axisbelow(True)
