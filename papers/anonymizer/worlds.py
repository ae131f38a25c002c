"""Each recipe's pictures: who trains, who is judged, and which strangers are matched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from papers.recipe import Run
from sfumato.data.imageset import ImageSet
from sfumato.data.options import SourceOptions
from sfumato.data.order import random_order
from sfumato.data.sets.characters import FACE, CharactersConfig, load_characters
from sfumato.data.sources import load
from sfumato.data.splits import split_images
from sfumato.protect.labels import private_labels, refuse_same

_PEN_SPLIT = (5494, 1000, 1000)  # the paper's
_SPLIT = (0.8, 0.1, 0.1)


@dataclass(frozen=True, kw_only=True)
class World:
    """One study's pictures; train, validation and test share the people, as in the paper."""

    train: ImageSet
    validation: ImageSet
    test: ImageSet
    private: str
    utility: str
    strangers: ImageSet
    """Pictures of other people, whose releases are matched with each other."""
    unseen: tuple[str, ...] = ()
    """Further labels that no training sees and that should stay readable."""
    template: ImageSet | None = None
    """Pictures of an artificial identity that nobody is."""

    def __post_init__(self) -> None:
        refuse_same(self.private, self.utility)
        private_labels(self.train, self.private)

    @property
    def chance(self) -> float:
        """A guess of the private value."""
        return 1 / len(self.train.label(self.private).unique())


def pendigits(run: Run, settings: Mapping[str, Any]) -> World:
    """Recorded digits at 20x20: hide who wrote, keep what was written."""
    everyone = run.uses(load("pendigits", split="train", data_dir=run.data_dir))
    others = run.uses(load("pendigits", split="test", data_dir=run.data_dir))
    shares = [count / sum(_PEN_SPLIT) for count in _PEN_SPLIT]
    train, validation, test = split_images(everyone, shares, seed=run.seed)
    train = split_images(train, [settings["share"]], seed=run.seed)[0]
    return World(
        train=train,
        validation=validation,
        test=test,
        private="writer",
        utility="digit",
        strangers=_some(others, settings["strangers"], run.seed),
    )


def fig2(run: Run, settings: Mapping[str, Any]) -> World:
    """The same digits for the paper's method alone.

    Its settings were chosen on the pictures that the recipe `pendigits` tests on. They are the
    validation part here, and the judged part is that of which nothing was chosen.
    """
    everyone = run.uses(load("pendigits", split="train", data_dir=run.data_dir))
    shares = [count / sum(_PEN_SPLIT) for count in _PEN_SPLIT]
    train, judged, validation = split_images(everyone, shares, seed=settings["split"])
    train = split_images(train, [settings["share"]], seed=run.seed)[0]
    run.apart(train=train, validation=validation, victims=judged)
    return World(
        train=train,
        validation=validation,
        test=judged,
        private="writer",
        utility="digit",
        strangers=judged.subset([]),
    )


def characters(run: Run, settings: Mapping[str, Any]) -> World:
    """Drawn people's faces in grey, aligned: hide who is shown, keep the expression."""
    people, template, strangers = 6, 1, 8
    config = CharactersConfig(
        identities=people + template + strangers,
        count=settings["each"] * (people + template + strangers),
        **settings["pose"],
    )
    options = SourceOptions(size=settings["size"], channels=1, seed=run.seed, box=FACE)
    everyone = run.uses(load_characters(options, config))
    identity = everyone.label("identity")
    train, validation, test = split_images(
        everyone.subset(identity < people), _SPLIT, seed=run.seed
    )
    return World(
        train=train,
        validation=validation,
        test=test,
        private="identity",
        utility="expression",
        unseen=("glasses",),
        template=everyone.subset(identity == people),
        strangers=_some(everyone.subset(identity > people), settings["strangers"], run.seed),
    )


def ferg(run: Run, settings: Mapping[str, Any]) -> World:
    """FERG's characters at 50x50 in grey: five to hide, the sixth as the template."""
    everyone = run.uses(
        load("ferg", data_dir=run.data_dir, size=settings["size"], channels=1,
             count=settings["count"], seed=run.seed)
    )  # fmt: skip
    target = everyone.classes["identity"].index(settings["template"])
    shown = everyone.label("identity") == target
    train, validation, test = split_images(everyone.subset(~shown), _SPLIT, seed=run.seed)
    return World(
        train=train,
        validation=validation,
        test=test,
        private="identity",
        utility="expression",
        template=everyone.subset(shown),
        strangers=_some(test, settings["strangers"], run.seed),
    )


def with_template(world: World) -> ImageSet:
    """Return the training pictures, with the template as one more identity where there is one."""
    return world.train if world.template is None else _joined(world.train, world.template)


def released_set(world: World) -> ImageSet:
    """Return all pictures of the people to hide: the collection that is released as a whole."""
    return _joined(world.train, world.validation, world.test)


def _joined(*parts: ImageSet) -> ImageSet:
    return ImageSet(
        name=parts[0].name,
        images=torch.cat([part.images for part in parts]),
        labels={name: torch.cat([part.labels[name] for part in parts]) for name in parts[0].labels},
        classes=parts[0].classes,
    )


def template_name(world: World) -> str | None:
    """Return the template's value of the private label."""
    if world.template is None:
        return None
    return world.template.classes[world.private][int(world.template.label(world.private)[0])]


def _some(images: ImageSet, count: int, seed: int) -> ImageSet:
    order = random_order(len(images), seed)
    return images.subset(order[:count].sort().values)
