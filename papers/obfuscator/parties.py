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
    victims: ImageSet
    utility: str

    def part(self, count: int) -> Parties:
        """Return the same parties with so many of the keeper's pictures, at most."""
        keeper = self.keeper.subset(range(min(count, len(self.keeper))))
        return replace(self, keeper=keeper)


def parties(run: Run, settings: Mapping[str, Any]) -> Parties:
    """Load and divide the pictures; victims are of the published test part where there is one."""
    total = settings["images"] + settings["adversary"]
    apart = bool(settings["test_split"])
    train = _load(run, settings, settings["train_split"], total + (not apart) * settings["victims"])
    counts = [settings["images"], settings["adversary"]]
    if not apart:
        counts.append(settings["victims"])
    keeper, adversary, *rest = split_images(
        train, [count / sum(counts) for count in counts], seed=run.seed
    )
    victims = rest[0] if rest else _load(run, settings, settings["test_split"], settings["victims"])
    return Parties(
        keeper=run.uses(shuffled(keeper, seed=run.seed)),
        adversary=run.uses(shuffled(adversary, seed=run.seed)),
        victims=run.uses(shuffled(victims, seed=run.seed)),
        utility=settings["utility"],
    )


def _load(run: Run, settings: Mapping[str, Any], split: Split, count: int) -> ImageSet:
    return load(
        settings["data"], split=split, data_dir=run.data_dir, size=_SIDE, count=count, seed=run.seed
    )
