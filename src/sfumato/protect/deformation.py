"""How far two views of one picture may differ, in numbers; `augment` draws the views."""

from __future__ import annotations

from dataclasses import dataclass

from sfumato.config import check_settings, setting

_PANEL = "Views of a picture"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deformation:
    """Largest changes between two views of one picture; what they change is what is forgotten.

    Raises:
        ConfigError: a number is out of its range.
    """

    rotate: float = setting(14.0, "Degrees to either side.", least=0, panel=_PANEL)
    zoom: float = setting(
        0.15,
        "Change of height and width, each on its own: 0.15 is 0.85 to 1.15.",
        least=0,
        below=1,
        panel=_PANEL,
    )
    shear: float = setting(
        0.25,
        "Sideways shift of the upper edge as a share of the height; upright writing leans so far.",
        least=0,
        panel=_PANEL,
    )
    move: float = setting(
        0.1, "Shift in either direction, as a share of half the side.", least=0, panel=_PANEL
    )
    light: float = setting(
        0.0,
        "Strength of a random ramp across the picture, added and multiplied: backgrounds, shade.",
        least=0,
        panel=_PANEL,
    )
    mirror: float = setting(
        0.0, "Share of the pictures that are mirrored.", least=0, most=1, panel=_PANEL
    )
    blur: float = setting(
        0.0,
        "Share of the batches that are shrunk and enlarged again, as a pipeline that resizes does.",
        least=0,
        most=1,
        panel=_PANEL,
    )
    noise: float = setting(
        0.0, "Standard deviation of noise added to every pixel.", least=0, panel=_PANEL
    )
    near: float = setting(
        0.0,
        "How much nearer a picture may be looked at, beyond zoom: 0.35 shows 0.65 of its side.",
        least=0,
        below=1,
        panel=_PANEL,
    )
    cover: float = setting(
        0.0,
        "Share of the pictures of which a grey rectangle, up to half a side long, covers a part.",
        least=0,
        most=1,
        panel=_PANEL,
    )

    def __post_init__(self) -> None:
        check_settings(self)


FACE_AUGMENTATION = Deformation(
    rotate=6.0, zoom=0.12, shear=0.0, move=0.08, light=0.12, mirror=0.5, blur=0.5, noise=0.02
)
"""How an aligned face may look to a classifier or matcher that nobody knows."""
