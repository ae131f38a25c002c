"""How a backbone is tried on public pictures."""

from __future__ import annotations

from dataclasses import dataclass

from sfumato.config import Presets, check_settings, setting

_PANEL = "Trial"


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationConfig(Presets):
    """Settings of a calibration.

    Raises:
        ConfigError: a value is out of its range.
    """

    false_blocks: float = setting(
        0.01,
        "Share of strangers' uploads that a bank may block, whatever its size.",
        above=0,
        most=0.5,
        panel=_PANEL,
    )
    people: int = setting(
        100, "People of the source who enroll for the trial, at most.", least=10, panel=_PANEL
    )
    pictures: int = setting(7, "Pictures that each of them enrolls.", least=2, panel=_PANEL)
    uploads: int = setting(
        3,
        "Other pictures that each of them has to have; fewer will do where few people have them.",
        least=1,
        panel=_PANEL,
    )
    seed: int = 0
    """Draws who enrolls, with which pictures, and who the strangers are."""

    def __post_init__(self) -> None:
        check_settings(self)
