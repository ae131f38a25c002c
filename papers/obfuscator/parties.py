"""Who has which pictures: the keeper of the maps, an adversary with other files, the victims.

Each party's are in random order. Collections come sorted, by class or by person, and then the first
so many of them are of a few classes only, and members differ from strangers in what they show.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from papers.recipe import Run
from sfumato.data.imageset import ImageSet
from sfumato.data.options import Split
from sfumato.data.sources import load
from sfumato.data.splits import shuffled, split_images

_SIDE = 32  # pixels, as in the paper


@dataclass(frozen=True, kw_only=True)
class Parties:
    """One study's pictures; no two parties have one in common."""

    keeper: ImageSet
    adversary: ImageSet
    validation: ImageSet
    """Pictures on which settings are chosen; empty where a recipe chooses none."""
    victims: ImageSet
    utility: str

    def part(self, count: int) -> Parties:
        """Return the same parties with so many of the keeper's pictures, at most."""
        keeper = self.keeper.subset(range(min(count, len(self.keeper))))
        return replace(self, keeper=keeper)


def parties(run: Run, settings: Mapping[str, Any]) -> Parties:
    """Load and divide the pictures; victims are of the published test part where there is one."""
    counts = [settings["images"], settings["adversary"]]
    if "validation" in settings:
        counts.append(settings["validation"])
    if not settings["test_split"]:
        counts.append(settings["victims"])
    train = _load(run, settings, settings["train_split"], sum(counts))
    parts = split_images(train, [count / sum(counts) for count in counts], seed=run.seed)
    if settings["test_split"]:
        parts.append(_load(run, settings, settings["test_split"], settings["victims"]))
    keeper, adversary, *between, victims = (
        run.uses(shuffled(part, seed=run.seed)) for part in parts
    )
    validation = between[0] if between else adversary.subset([])
    run.apart(keeper=keeper, adversary=adversary, validation=validation, victims=victims)
    return Parties(
        keeper=keeper,
        adversary=adversary,
        validation=validation,
        victims=victims,
        utility=settings["utility"],
    )


def _load(run: Run, settings: Mapping[str, Any], split: Split, count: int) -> ImageSet:
    return load(
        settings["data"], split=split, data_dir=run.data_dir, size=_SIDE, count=count, seed=run.seed
    )
