"""Who is who in each recipe: on whom the network trains, and other people on whom it is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from papers.recipe import Run
from sfumato.audit.measure.disjoint import check_disjoint
from sfumato.data.imageset import ImageSet
from sfumato.data.sets.lfw import TIGHT, Pairs, lfw_pairs
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
    pairs: Pairs | None = None
    """Official pairs of the judged people, where there are any."""


def lfw(run: Run, settings: Mapping[str, Any]) -> World:
    """Real faces (LFW), gender hidden, on the official pairs: published networks as strangers."""
    if run.data_dir is None:
        raise DataError("the recipe lfw needs --data-dir with lfw/ in it")
    size = settings["size"]
    images = load("lfw", data_dir=run.data_dir, box=TIGHT, size=size, channels=3)
    models = run.data_dir.parent / "models"
    pairs = first_folds(lfw_pairs(run.data_dir), settings["judged_folds"])
    files = {*pairs.left, *pairs.right}
    named = torch.tensor([file in files for file in images.files])
    people = run.uses(images).label("identity")
    judged = torch.isin(people, people[named].unique())
    world = World(
        train=images.subset(~judged),
        judged=images.subset(judged),
        private="gender",
        models=models if models.is_dir() else None,
        pairs=pairs,
    )
    check_disjoint(world.judged, world.train, "identity")
    return world


def first_folds(pairs: Pairs, count: int) -> Pairs:
    """Return the pairs of the first folds; LFW's folds share no person."""
    rows = [i for i, fold in enumerate(pairs.fold) if fold < count]
    return Pairs(
        left=tuple(pairs.left[i] for i in rows),
        right=tuple(pairs.right[i] for i in rows),
        same=tuple(pairs.same[i] for i in rows),
        fold=tuple(pairs.fold[i] for i in rows),
    )


def characters(run: Run, settings: Mapping[str, Any]) -> World:
    """Drawn characters, glasses hidden: nothing to download."""
    images = load(
        f"characters:{settings['identities']}",
        count=settings["count"],
        size=settings["size"],
        seed=run.seed,
    )
    return _split(run, images, "glasses")


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


def _split(run: Run, images: ImageSet, private: str) -> World:
    run.uses(images)
    train, judged = split_groups(images, "identity", [1 - _JUDGED, _JUDGED], seed=run.seed)
    check_disjoint(judged, train, "identity")
    return World(train=train, judged=judged, private=private)
