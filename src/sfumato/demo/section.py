"""One part of the demo: what was protected, how well, and pictures of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import plotly.graph_objects as go

Advance = Callable[[str], None]
"""Called with the name of each finished step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number; shares and accuracies are in [0, 1]."""

    label: str
    value: float
    wanted: Literal["high", "low"]
    """What the protector's owner hopes for."""
    chance: float | None = None
    """What guessing would give, where that means something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A PNG with the sentence that stands under it, which is also what a screen reader says."""

    caption: str
    png: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A plotly figure with the sentence that stands under it."""

    caption: str
    figure: go.Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """What one part shows."""

    slug: str
    title: str
    sentence: str
    """What happened, in one sentence for someone who reads nothing else."""
    figures: tuple[Figure, ...]
    pictures: tuple[Picture, ...] = ()
    plots: tuple[Plot, ...] = ()
