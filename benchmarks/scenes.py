"""Photographs with faces pasted in, whose places are known: several sizes, rotations and lights.

A face is a picture of LFW, pasted with soft borders into a photograph without people. What comes of
it is no photograph; it says what a detector finds under stated conditions, one beside the other.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from sfumato.data.decoding.decode import Box
from sfumato.data.sets.lfw import TIGHT

SIZES: Final = (16, 24, 40, 64, 110, 200, 400)
"""Pixels across the face alone."""
ROTATIONS: Final = (0, 20, 45, 90, 180, 270)
LIGHTS: Final = ("plain", "dark", "bright", "side", "flat", "noisy", "soft")
_FULL: Final = 160
_SPAN: Final = TIGHT[2] - TIGHT[0]
_TRIES: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Pasted:
    """One face of a scene, and how it was pasted."""

    box: Box
    """The face alone, as a square around it however it is rotated."""
    size: int
    rotation: int
    light: str
    who: int


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture and its faces; there may be none."""

    pixels: UInt8[np.ndarray, "h w 3"]
    faces: tuple[Pasted, ...]


def make_scenes(
    photos: Sequence[Path],
    faces: UInt8[np.ndarray, "n 160 160 3"],
    who: Sequence[int],
    count: int,
    *,
    seed: int,
    most: int = 4,
) -> Iterator[Scene]:
    """Yield `count` scenes of up to `most` faces each, and then every photograph as it is."""
    draw = random.Random(seed)
    for number in range(count):
        plain = Image.open(photos[number % len(photos)]).convert("RGB")
        yield _scene(plain, faces, who, draw, most)
    for path in photos:
        yield Scene(np.asarray(Image.open(path).convert("RGB")), ())


def _scene(
    plain: Image.Image,
    faces: UInt8[np.ndarray, "n 160 160 3"],
    who: Sequence[int],
    draw: random.Random,
    most: int,
) -> Scene:
    pasted: list[Pasted] = []
    for _ in range(draw.randint(1, most)):
        size, rotation, light = draw.choice(SIZES), draw.choice(ROTATIONS), draw.choice(LIGHTS)
        chosen = draw.randrange(len(faces))
        place = _place(plain.size, round(size * _FULL / _SPAN), pasted, draw)
        if place is not None:
            face = _lit(Image.fromarray(faces[chosen]), light, draw)
            box = _paste(plain, face, place, size, rotation)
            one = Pasted(box=box, size=size, rotation=rotation, light=light, who=who[chosen])
            pasted.append(one)
    return Scene(np.asarray(plain), tuple(pasted))


def _place(
    size: tuple[int, int], side: int, taken: Sequence[Pasted], draw: random.Random
) -> tuple[int, int] | None:
    """Return a free place for a square, or None where none was met."""
    width, height = size
    for _ in range(_TRIES * (side < min(size))):
        x, y = draw.randrange(width - side), draw.randrange(height - side)
        free = all(
            x + side < b[0] - side // 4
            or b[2] + side // 4 < x
            or y + side < b[1] - side // 4
            or b[3] + side // 4 < y
            for b in (_around(one.box) for one in taken)
        )
        if free:
            return x, y
    return None


def _around(box: Box) -> Box:
    """Return the whole square that was pasted, hair and neck included."""
    reach = round((box[2] - box[0]) * (_FULL / _SPAN - 1) / 2) + 1
    return (box[0] - reach, box[1] - reach, box[2] + reach, box[3] + reach)


def _paste(
    plain: Image.Image, face: Image.Image, place: tuple[int, int], size: int, rotation: int
) -> Box:
    side = round(size * _FULL / _SPAN)
    mask = Image.new("L", (_FULL, _FULL))
    ImageDraw.Draw(mask).ellipse((12, 4, 148, 156), fill=255)
    mask = mask.filter(ImageFilter.GaussianBlur(5))
    rotated = face.rotate(rotation, Image.Resampling.BICUBIC), mask.rotate(rotation)
    small, soft = (part.resize((side, side), Image.Resampling.LANCZOS) for part in rotated)
    plain.paste(small, place, soft)
    reach = round(TIGHT[0] * side / _FULL)
    x, y = place[0] + reach, place[1] + reach
    return (x, y, x + size, y + size)


def _lit(face: Image.Image, light: str, draw: random.Random) -> Image.Image:
    """Return the face under another light, or as a worse camera would take it."""
    if light == "dark":
        return ImageEnhance.Brightness(face).enhance(draw.uniform(0.15, 0.35))
    if light == "bright":
        return ImageEnhance.Brightness(face).enhance(draw.uniform(1.8, 2.4))
    if light == "flat":
        return ImageEnhance.Contrast(face).enhance(draw.uniform(0.2, 0.4))
    if light == "soft":
        return face.filter(ImageFilter.GaussianBlur(draw.uniform(2, 4)))
    pixels = np.asarray(face).astype(np.float64)
    if light == "side":
        ramp = np.linspace(0.1, 1.3, _FULL)[:: draw.choice((1, -1))]
        pixels = pixels * ramp[None, :, None]
    if light == "noisy":
        grain = np.random.default_rng(draw.randrange(1 << 30)).normal(0, 30, pixels.shape)
        pixels = pixels + grain
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
