"""A figure of a recipe, of every seed whose result is kept.

`results/<recipe>.json` is the first seed's. Those of further seeds lie beside it, as
`<recipe>-seed<N>.json`. A recipe that trains several seeds itself has an interval over them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

PAPERS = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure, its range, and of how many seeds it is the mean; of one, its 95 % interval."""

    value: float
    interval: tuple[float, float] | None
    seeds: int


def results(paper: str, recipe: str) -> list[dict[str, Any]]:
    """Return a recipe's results in order of seed."""
    folder = PAPERS / paper / "results"
    paths = [folder / f"{recipe}.json", *folder.glob(f"{recipe}-seed*.json")]
    found = [json.loads(path.read_text()) for path in paths]
    return sorted(found, key=lambda result: int(result["seed"]))


def figure(kept: Sequence[dict[str, Any]], at: Sequence[str | int]) -> Figure:
    """Return the figure at those keys: its mean and range over seeds, where there are several."""
    found: list[Any] = list(kept)
    for key in at:
        found = [one[int(key)] if isinstance(one, list) else one[key] for one in found]
    values = [float(one["value"] if isinstance(one, dict) else one) for one in found]
    if len(values) > 1:
        return Figure(fmean(values), (min(values), max(values)), len(values))
    low_high = found[0].get("interval") if isinstance(found[0], dict) else None
    return Figure(values[0], None if low_high is None else (low_high[0], low_high[1]), 1)
