"""Who is who in each recipe: on whom the network trains, and other people on whom it is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from papers.recipe import Run
from sfumato.audit.disjoint import check_disjoint
from sfumato.data.imageset import ImageSet
from sfumato.data.lfw import TIGHT
from sfumato.data.sources import load
from sfumato.data.splits import split_groups
from sfumato.errors import DataError

_JUDGED = 0.3  # share of the people on whom everything is measured


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Pictures of two disjoint groups of people."""

    train: ImageSet
    judged: ImageSet
    private: str
    models: Path | None = None
    """Folder of published weights, where there is one."""


def lfw(run: Run, settings: Mapping[str, Any]) -> World:
    """Real faces (LFW), gender hidden: published classifiers and matchers as strangers."""
    if run.data_dir is None:
        raise DataError("the recipe lfw needs --data-dir with lfw/ in it")
    size = settings["size"]
    images = load("lfw", data_dir=run.data_dir, box=TIGHT, size=size, channels=3)
    models = run.data_dir.parent / "models"
    return _split(run, images, "gender", models if models.is_dir() else None)


def characters(run: Run, settings: Mapping[str, Any]) -> World:
    """Drawn characters, glasses hidden: nothing to download."""
    images = load(
        f"characters:{settings['identities']}",
        count=settings["count"],
        size=settings["size"],
        seed=run.seed,
    )
    return _split(run, images, "glasses", None)


def celeba(run: Run, settings: Mapping[str, Any]) -> World:
    """The paper's own setting: CelebA at 224x224, gender hidden (give it a GPU)."""
    if run.data_dir is None:
        raise DataError("the recipe celeba needs --data-dir with celeba/ in it")
    size, count = settings["size"], settings.get("count")
    train, judged = (
        load("celeba", split=split, data_dir=run.data_dir, size=size, count=count)
        for split in ("train", "test")
    )
    world = World(train=run.uses(train), judged=run.uses(judged), private=settings["private"])
    check_disjoint(world.judged, world.train, "identity")
    return world


def _split(run: Run, images: ImageSet, private: str, models: Path | None) -> World:
    run.uses(images)
    train, judged = split_groups(images, "identity", [1 - _JUDGED, _JUDGED], seed=run.seed)
    check_disjoint(judged, train, "identity")
    return World(train=train, judged=judged, private=private, models=models)
