"""The finding of an attack that names people: how many victims it names, and how many a guess."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from sfumato.attack.tools.scores import share_interval
from sfumato.types import Details, Finding


def naming(
    attack: str,
    protector: str,
    metric: str,
    *,
    hits: Float[Tensor, "runs n"],
    guessed: Bool[Tensor, "n"],
    seeds: tuple[int, ...],
    details: Details,
    groups: Int64[Tensor, "n"] | None = None,
) -> Finding:
    """Return a finding: the share of victims named in each run, above the share that a guess names.

    Args:
        attack: Name of the attack.
        protector: Name of the protector.
        metric: What the share is called.
        hits: 1 where a run names a victim rightly, else 0; a row a run.
        guessed: Whether the most frequent person of the adversary's own pictures is the right one.
        seeds: Seeds of the runs.
        details: What the attack found besides.
        groups: Who is on each victim's picture, where people are what is drawn anew for intervals:
            pictures of one person are named together, or not.
    """
    rightly = guessed.float()
    everyone = torch.zeros(len(guessed), dtype=torch.int64)
    return Finding(
        attack=attack,
        protector=protector,
        metric=metric,
        value=float(hits.mean()),
        floor=float(rightly.mean()),
        ceiling=1.0,
        interval=share_interval(hits, everyone, groups=groups),
        seeds=seeds,
        floor_interval=share_interval(rightly[None], everyone, groups=groups),
        details=details,
    )
