"""Who has which pictures: the provider, the adversary and the victims, never the same ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from papers.recipe import Run
from sfumato.data.imageset import MISSING, ImageSet
from sfumato.data.options import SourceOptions
from sfumato.data.sets.characters import CharactersConfig, load_characters
from sfumato.data.sets.lfw import TIGHT
from sfumato.data.sources import load
from sfumato.data.splits import shuffled, split_groups, split_images
from sfumato.errors import ConfigError

_SHARES = (0.3, 0.45, 0.25)  # the first trains the provider's own network


@dataclass(frozen=True, kw_only=True)
class Parties:
    """One study's data: what each party has, which labels are attacked, and who is who."""

    provider: ImageSet
    adversary: ImageSet
    victims: ImageSet
    attributes: tuple[str, ...]
    taught: str
    """Label that the provider's own network learns, as a recognition service's would."""
    identity: str | None = None
    """Label that names people; no person is with two parties."""


def digits(run: Run, settings: Mapping[str, Any]) -> Parties:
    """Handwritten digits: the value, and whether it is odd, from features of a digit reader."""
    images = load(
        settings["data"], data_dir=run.data_dir, count=settings["count"], size=settings["size"],
        seed=run.seed,
    )  # fmt: skip
    digit = images.label("digit")
    images = ImageSet(
        name=images.name,
        images=images.images,
        labels={
            "digit": digit,
            "odd": digit % 2,
            "round": torch.isin(digit, torch.tensor(_ROUND)).long(),
        },
        classes={"digit": images.classes["digit"], "odd": ("no", "yes"), "round": ("no", "yes")},
        files=images.files,
    )
    return _by_image(run, images, ("digit", "odd", "round"), "digit")


_ROUND = (0, 6, 8, 9)  # digits with a closed loop


def characters(run: Run, settings: Mapping[str, Any]) -> Parties:
    """Drawn people: expression, glasses, hair and skin, from features that recognise people."""
    config = CharactersConfig(identities=settings["identities"], count=settings["count"])
    images = load_characters(SourceOptions(size=settings["size"], seed=run.seed), config)
    attributes = ("expression", "glasses", "hair", "hair-colour", "skin", "facial-hair")
    return _by_person(run, images, attributes)


def faces(run: Run, settings: Mapping[str, Any]) -> Parties:
    """Photographed people (LFW): gender, from features that recognise people."""
    images = load(
        "lfw", data_dir=run.data_dir, count=settings["count"], size=settings["size"], box=TIGHT,
        seed=run.seed,
    )  # fmt: skip
    return _by_person(run, images.subset(images.label("gender") != MISSING), ("gender",))


def market1501(run: Run, settings: Mapping[str, Any]) -> Parties:
    """The paper's own setting, for who has the pictures: 27 attributes of pedestrians."""
    images = load("market1501", data_dir=run.data_dir, size=tuple(settings["size"]))
    attributes = tuple(name for name in images.labels if name not in ("identity", "camera"))
    if not attributes:
        raise ConfigError("market1501 needs market_attribute.mat in the data folder as well")
    return _by_person(run, images, attributes)


def _by_image(run: Run, images: ImageSet, attributes: tuple[str, ...], taught: str) -> Parties:
    parts = split_images(run.uses(images), _SHARES, seed=run.seed)
    return _parties(run, parts, attributes=attributes, taught=taught)


def _by_person(run: Run, images: ImageSet, attributes: tuple[str, ...]) -> Parties:
    parts = split_groups(run.uses(images), "identity", _SHARES, seed=run.seed)
    return _parties(run, parts, attributes=attributes, taught="identity", identity="identity")


def _parties(
    run: Run,
    parts: list[ImageSet],
    *,
    attributes: tuple[str, ...],
    taught: str,
    identity: str | None = None,
) -> Parties:
    # Some studies take the first so many, which must not be those of a few people.
    provider, adversary, victims = (shuffled(part, seed=run.seed) for part in parts)
    return Parties(
        provider=provider,
        adversary=adversary,
        victims=victims,
        attributes=attributes,
        taught=taught,
        identity=identity,
    )
