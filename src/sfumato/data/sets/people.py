"""Who the `characters` are and what their faces do: python-avatars' parts, chosen and named."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64

from sfumato.errors import ConfigError
from sfumato.extras import needs

EXPRESSIONS = ("neutral", "anger", "fear", "surprise", "sadness", "joy", "disgust")

MAX_IDENTITIES = 1_000
"""So many can still be told apart by three parts or more."""

PARTS: dict[str, tuple[str, ...]] = {
    "hair": (
        "bob",
        "bun",
        "caesar",
        "curly",
        "dreads",
        "fro",
        "frizzle",
        "long-not-too-long",
        "mohawk",
        "mowgli",
        "pixie",
        "pompadour",
        "short-curly",
        "short-flat",
        "sides",
        "straight-strand",
    ),
    "hair-colour": ("black", "brown", "blonde", "red", "silver-gray"),
    "skin": ("pale", "light", "brown", "dark-brown", "black"),
    "facial-hair": ("none", "none", "beard-light", "beard-medium", "moustache-magnum"),
    "nose": ("default", "small", "wide"),
    "clothing": ("blazer-shirt", "collar-sweater", "hoodie", "overall", "shirt-v-neck"),
    "clothing-colour": ("black", "blue-02", "gray-01", "pastel-green", "pastel-yellow", "red"),
    "frame": ("prescription-1", "prescription-2", "round"),
}
"""What may be drawn of each part; a name listed twice is drawn twice as often. Hair styles that
come in one colour only, hide the eyebrows or leave the picture are left out."""

_DIFFERENT = 3  # parts in which any two identities differ at least
_FACES = {  # each expression: (eyebrows thin and bold), and what eyes and mouth may do
    "neutral": (("default", "default-natural"), ("default",), ("serious",)),
    "anger": (("angry", "angry-natural"), ("default", "squint"), ("grimace",)),
    "fear": (("sad-concerned", "sad-concerned-natural"), ("surprised",), ("scream-open",)),
    "surprise": (("raised-excited", "raised-excited-natural"), ("surprised",), ("disbelief",)),
    "sadness": (("sad-concerned", "sad-concerned-natural"), ("cry", "closed"), ("sad",)),
    "joy": (("default", "default-natural"), ("happy", "default"), ("smile", "big-smile")),
    "disgust": (("up-down", "up-down-natural"), ("squint", "closed"), ("vomit", "tongue")),
}


@dataclass(frozen=True, slots=True)
class Person:
    """One identity: an index into each of `PARTS`, and which eyebrows it has."""

    hair: int
    hair_colour: int
    skin: int
    facial_hair: int
    nose: int
    clothing: int
    clothing_colour: int
    frame: int
    bold_eyebrows: int


def people(count: int, seed: int) -> list[Person]:
    """Draw identities that share parts but differ from one another in at least three.

    The first `n` are the same for every `count`.

    Raises:
        ConfigError: `count` is not between 1 and `MAX_IDENTITIES`.
    """
    if not 1 <= count <= MAX_IDENTITIES:
        raise ConfigError(f"expected 1 to {MAX_IDENTITIES:,} identities, got {count:,}")
    generator = np.random.default_rng([seed, 0])
    sizes = [*(len(values) for values in PARTS.values()), 2]
    chosen = np.empty((0, len(sizes)), np.int64)
    while len(chosen) < count:
        candidate = generator.integers(0, sizes)
        # The frame is seen only in some pictures and does not count as a difference.
        apart = (_named(chosen)[:, :-2] != _named(candidate[None])[:, :-2]).sum(1)
        if (apart >= _DIFFERENT).all():
            chosen = np.vstack([chosen, candidate])
    return [Person(*row) for row in chosen.tolist()]


def part(person: Person, name: str) -> str:
    """Return the named part of a person, as a value of `PARTS`."""
    chosen: int = astuple(person)[list(PARTS).index(name)]
    return PARTS[name][chosen]


def variants(expression: int) -> int:
    """Return how many ways of looking an expression has."""
    _, eyes, mouths = _FACES[EXPRESSIONS[expression]]
    return len(eyes) * len(mouths)


def needs_drawing() -> None:
    """Raise an UnavailableError where what draws people is not installed."""
    needs("demo", "drawing the characters", "python_avatars", "resvg_py")


def drawing(person: Person, expression: int, variant: int, glasses: bool) -> str:
    """Return the SVG of one look, 264 x 280 units, on no background."""
    needs_drawing()
    import python_avatars as pa

    eyebrows, eyes, mouths = _FACES[EXPRESSIONS[expression]]
    avatar = pa.Avatar(
        style=pa.AvatarStyle.TRANSPARENT,
        top=_value(pa.HairType, part(person, "hair")),
        hair_color=_value(pa.HairColor, part(person, "hair-colour")),
        facial_hair=_value(pa.FacialHairType, part(person, "facial-hair")),
        facial_hair_color=_value(pa.HairColor, part(person, "hair-colour")),
        skin_color=_value(pa.SkinColor, part(person, "skin")),
        nose=_value(pa.NoseType, part(person, "nose")),
        clothing=_value(pa.ClothingType, part(person, "clothing")),
        clothing_color=_value(pa.ClothingColor, part(person, "clothing-colour")),
        accessory=_value(pa.AccessoryType, part(person, "frame") if glasses else "none"),
        eyebrows=_value(pa.EyebrowType, eyebrows[person.bold_eyebrows]),
        eyes=_value(pa.EyeType, eyes[variant % len(eyes)]),
        mouth=_value(pa.MouthType, mouths[variant // len(eyes)]),
    )
    return str(avatar.render())


def _value(kind: Any, name: str) -> Any:  # noqa: ANN401
    return kind[name.upper().replace("-", "_")]


def _named(rows: Int64[np.ndarray, "n parts"]) -> Int64[np.ndarray, "n parts"]:
    """Map indices to the first index of the same name: a name listed twice is one part."""
    first = [[values.index(value) for value in values] for values in PARTS.values()]
    columns = [np.array(first[i])[rows[:, i]] for i in range(len(first))]
    return np.stack([*columns, rows[:, -1]], 1)
