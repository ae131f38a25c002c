"""`characters`: stylised people, identity x expression x glasses, posed and lit at random.

Every look (person, expression, glasses) is drawn once as a sprite; each picture is then one
turn, move and scaling of a sprite over a background of its own, in its own light.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sfumato.data.assemble import conform, no_split
from sfumato.data.cache import cached_images, content_key
from sfumato.data.imageset import ImageSet
from sfumato.data.options import SourceOptions
from sfumato.data.sets.people import (
    EXPRESSIONS,
    PARTS,
    Person,
    drawing,
    needs_drawing,
    part,
    people,
    variants,
)
from sfumato.data.sets.rasterise import rasterise
from sfumato.errors import ConfigError
from sfumato.progress import track

SHOWN = ("hair", "hair-colour", "skin", "facial-hair")
"""The parts of a person that are labels of their own."""

FACE = (18, 16, 46, 50)
"""Box of the face in a drawn 64x64: brows to chin, as a face detector would cut it."""

_DRAWING = 1  # raise it when pictures change, so that no cache keeps the old ones
_SIDE = 64
_CANVAS = (264, 280)  # units of the drawings
_CENTRE = (132, 118)  # of the face, in units
_WINDOW = 176  # units that the shorter side of a picture shows at scale 1
_AT_ONCE = 512  # sprites in memory


@dataclass(frozen=True, slots=True, kw_only=True)
class CharactersConfig:
    """Who is drawn, how many pictures, and how far pose and light vary."""

    identities: int = 12
    """People; the first of them are the same whatever their number."""
    count: int = 2_000
    """Pictures, unless the options' `count` says otherwise."""
    rotate: float = 10.0
    """Largest rotation to either side, in degrees."""
    move: float = 0.06
    """Largest shift in either direction, as a share of the side."""
    zoom: float = 0.12
    """Largest change of scale: 0.12 is 0.88 to 1.12."""
    light: float = 0.3
    """Largest darkening, even or across the picture: 0 is one light for all."""

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ConfigError(f"count must be at least 1, got {self.count}")
        if not (0 <= self.rotate <= 45 and 0 <= self.move <= 0.2):
            raise ConfigError(
                f"rotate is 0 to 45 and move 0 to 0.2, got {self.rotate} and {self.move}"
            )
        if not (0 <= self.zoom <= 0.3 and 0 <= self.light < 1):
            raise ConfigError(
                f"zoom is 0 to 0.3 and light 0 to 1, got {self.zoom} and {self.light}"
            )


@dataclass(frozen=True, slots=True)
class _Shot:
    """Everything about one picture; drawn from (seed, index) alone."""

    identity: int
    expression: int
    variant: int
    glasses: bool
    angle: float
    zoom: float
    shift: tuple[float, float]
    backdrop: tuple[tuple[int, ...], tuple[int, ...]]
    backdrop_angle: float
    light: float
    shade: float
    shade_angle: float


def load_characters(options: SourceOptions, config: CharactersConfig | None = None) -> ImageSet:
    """Return `count` pictures with labels identity, expression, glasses and those in `SHOWN`.

    64x64 RGB unless the options say otherwise. Picture i depends on the seed, i, the shape and
    `config` alone; consecutive pictures go through the identities, then the expressions.

    Raises:
        UnavailableError: the extra `demo` is not installed, or resvg-py is broken.
    """
    needs_drawing()
    no_split("characters", options)
    config = config or CharactersConfig()
    count = options.count or config.count
    cast = people(config.identities, options.seed)
    shots = [_shot(i, options.seed, config) for i in range(count)]
    # A box is given in pixels of the set's own size; without one the asked size is drawn itself.
    size = (_SIDE, _SIDE) if options.box or not options.shape else options.shape
    channels = 1 if options.channels == 1 else 3
    versions = (_DRAWING, version("python-avatars"), version("resvg-py"))
    settings = (options.seed, size, channels, count, astuple(config), versions)

    def fill(target: NDArray[np.uint8]) -> None:
        _draw_all(target, shots, cast, size)

    shape = (count, channels, *size)
    key = content_key((), *settings)
    images = cached_images("characters", key, shape, fill, cache=options.cache)
    labels, classes = _labels(shots, cast)
    images = conform(images, options)
    return ImageSet(name="characters", images=images, labels=labels, classes=classes)


def characters_splits(_: Path | None) -> tuple[str, ...]:
    """Return the splits that can be loaded."""
    return ("all",)


def _shot(index: int, seed: int, config: CharactersConfig) -> _Shot:
    draw = np.random.default_rng([seed, 1, index])
    expression = index // config.identities % len(EXPRESSIONS)
    low, high = draw.integers(60, 226, (2, 3))
    return _Shot(
        identity=index % config.identities,
        expression=expression,
        variant=int(draw.integers(variants(expression))),
        glasses=bool(draw.integers(2)),
        angle=math.radians(draw.uniform(-config.rotate, config.rotate)),
        zoom=draw.uniform(1 - config.zoom, 1 + config.zoom),
        shift=(draw.uniform(-config.move, config.move), draw.uniform(-config.move, config.move)),
        backdrop=(tuple(low.tolist()), tuple(high.tolist())),
        backdrop_angle=draw.uniform(0, 2 * math.pi),
        light=draw.uniform(1 - config.light, 1.0),
        shade=draw.uniform(0, config.light),
        shade_angle=draw.uniform(0, 2 * math.pi),
    )


def _draw_all(
    target: NDArray[np.uint8], shots: Sequence[_Shot], cast: Sequence[Person], size: tuple[int, int]
) -> None:
    by_appearance: dict[tuple[int, int, int, bool], list[int]] = {}
    for i, shot in enumerate(shots):
        look = (shot.identity, shot.expression, shot.variant, shot.glasses)
        by_appearance.setdefault(look, []).append(i)
    appearances = list(by_appearance)
    density = min(size) / _WINDOW
    width, height = (math.ceil(side * density) for side in _CANVAS)

    def paint(job: tuple[int, Image.Image]) -> None:
        i, sprite = job
        target[i] = _paint(shots[i], sprite, size, len(target[i]))

    batches = [appearances[i : i + _AT_ONCE] for i in range(0, len(appearances), _AT_ONCE)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for batch in track(batches, "characters: drawing"):
            drawings = [drawing(cast[who], e, v, g) for who, e, v, g in batch]
            sprites = rasterise(drawings, width, height)
            pairs = zip(batch, sprites, strict=True)
            jobs = [(i, sprite) for look, sprite in pairs for i in by_appearance[look]]
            for _ in pool.map(paint, jobs):
                pass


def _paint(
    shot: _Shot, sprite: Image.Image, size: tuple[int, int], channels: int
) -> NDArray[np.uint8]:
    height, width = size
    posed = sprite.transform(
        (width, height), Image.Transform.AFFINE, _pose(shot, sprite, size), Image.Resampling.BICUBIC
    )
    across = _ramp(size, shot.backdrop_angle)[:, :, None]
    low, high = (np.array(colour, np.float32) for colour in shot.backdrop)
    layers = np.asarray(posed, np.float32)
    alpha = layers[:, :, 3:] / 255
    picture = alpha * layers[:, :, :3] + (1 - alpha) * (low + (high - low) * across)
    picture *= shot.light * (1 - shot.shade * _ramp(size, shot.shade_angle)[:, :, None])
    image = Image.fromarray(picture.round().clip(0, 255).astype(np.uint8))
    array = np.asarray(image.convert("L") if channels == 1 else image)
    return array.reshape(height, width, channels).transpose(2, 0, 1)


def _pose(shot: _Shot, sprite: Image.Image, size: tuple[int, int]) -> tuple[float, ...]:
    """Return the affine map from picture to sprite coordinates."""
    height, width = size
    density = sprite.width / _CANVAS[0]
    cosine, sine = math.cos(shot.angle) / shot.zoom, math.sin(shot.angle) / shot.zoom
    x = width / 2 + shot.shift[0] * min(size)
    y = height / 2 + shot.shift[1] * min(size)
    left, top = (side * density for side in _CENTRE)
    return (cosine, sine, left - cosine * x - sine * y, -sine, cosine, top + sine * x - cosine * y)


def _ramp(size: tuple[int, int], angle: float) -> NDArray[np.float32]:
    """Return 0 to 1 across the picture in the given direction."""
    down, right = np.mgrid[-1 : 1 : size[0] * 1j, -1 : 1 : size[1] * 1j].astype(np.float32)
    reach = abs(math.cos(angle)) + abs(math.sin(angle))
    slope: NDArray[np.float32] = math.cos(angle) * right + math.sin(angle) * down
    return slope / (2 * reach) + np.float32(0.5)


def _labels(
    shots: Sequence[_Shot], cast: Sequence[Person]
) -> tuple[dict[str, Int64[Tensor, "n"]], dict[str, tuple[str, ...]]]:
    identity = torch.tensor([shot.identity for shot in shots])
    digits = len(str(len(cast)))
    labels = {
        "identity": identity,
        "expression": torch.tensor([shot.expression for shot in shots]),
        "glasses": torch.tensor([int(shot.glasses) for shot in shots]),
    }
    classes = {
        "identity": tuple(f"person-{i + 1:0{digits}}" for i in range(len(cast))),
        "expression": EXPRESSIONS,
        "glasses": ("no", "yes"),
    }
    for name in SHOWN:
        values = tuple(dict.fromkeys(PARTS[name]))
        classes[name] = values
        labels[name] = torch.tensor([values.index(part(person, name)) for person in cast])[identity]
    return labels, classes
