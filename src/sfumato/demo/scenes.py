"""Whole photographs for the demo: drawn people at a table, and where their faces are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from sfumato.data.sets.people import EXPRESSIONS, Person, drawing
from sfumato.data.sets.rasterise import rasterise
from sfumato.photo.find.box import Face

_WIDTH: Final = 720
_HEIGHT: Final = 405
_TABLE: Final = 330  # pixels from the top
_UNITS: Final = (264, 280)  # of a drawing
_FACE: Final = (93.5, 74.0, 170.5, 167.5)  # brows to chin, in units
# Left and width of each person, in pixels.
_PLACES: Final = (
    ((14, 170), (190, 110), (316, 140), (462, 250)),
    ((24, 112), (140, 250), (398, 172), (588, 120)),
)
SCENES: Final = len(_PLACES)
EACH: Final = len(_PLACES[0])
"""People in a scene."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A photograph whose faces are known."""

    picture: UInt8[Tensor, "3 h w"]
    faces: tuple[Face, ...]


def compose(cast: Sequence[Person], number: int, seed: int) -> Scene:
    """Draw the scene of this number with these people at its table, from left to right."""
    draw = np.random.default_rng([seed, 2, number])
    scene, faces = _room(draw), []
    for person, (left, width) in zip(cast, _PLACES[number], strict=True):
        height = round(width * _UNITS[1] / _UNITS[0])
        top = _TABLE - height + 4  # the table hides the end of the drawing
        svg = drawing(person, int(draw.integers(len(EXPRESSIONS))), 0, bool(draw.integers(2)))
        scene.alpha_composite(rasterise([svg], width, height)[0], (left, top))
        x1, y1, x2, y2 = (side * width / _UNITS[0] for side in _FACE)
        faces.append(Face(left=left + x1, top=top + y1, right=left + x2, bottom=top + y2))
    ImageDraw.Draw(scene).rectangle((0, _TABLE, _WIDTH, _HEIGHT), fill=(112, 88, 70))
    pixels = torch.from_numpy(np.array(scene.convert("RGB")))
    return Scene(pixels.permute(2, 0, 1).contiguous(), tuple(faces))


def _room(draw: np.random.Generator) -> Image.Image:
    """Draw a wall in its light, with a window and a picture."""
    across, down = np.linspace(1.08, 0.8, _WIDTH), np.linspace(1, 0.9, _HEIGHT)
    wall = draw.integers(150, 215, 3) * (down[:, None] * across)[:, :, None]
    grain = draw.normal(0, 2, (_HEIGHT, _WIDTH, 1))
    room = Image.fromarray((wall + grain).clip(0, 255).astype(np.uint8)).convert("RGBA")
    pen = ImageDraw.Draw(room)
    pen.rectangle((260, 20, 430, 200), fill=(196, 219, 238))
    for x in (260, 345, 430):
        pen.line((x, 20, x, 200), (244, 244, 240), 7)
    pen.rectangle((590, 32, 676, 122), fill=(94, 116, 92))
    return room
