"""Who of a public source plays which part: some people enroll, all others are strangers.

Nobody plays two. The strangers are again in three parts: the cohort sets anchors, the second part
the dimension of the tail, and the third is what false blocks are counted on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Int64
from torch import Tensor

from sfumato.data.imageset import MISSING
from sfumato.data.order import random_order
from sfumato.errors import DataError
from sfumato.features.policy import LEAST_COHORT, MOST_COHORT
from sfumato.filter.calibrate.config import CalibrationConfig

Rows = Int64[Tensor, " _"]

LEAST_ENROLLED: Final = 10
"""With fewer people who enroll, one of them would decide the figures."""
LEAST_STRANGERS: Final = 30
"""With fewer strangers, each third of it would hang on a few of them."""
MOST_PICTURES: Final = 15_000
"""More pictures of a source are not read: extracting takes most of the time."""
_SOME = 20  # people who enroll; fewer do with less than `uploads` new pictures rather
_MOST_EACH = 10  # of one person: uploads of an enrolled one, pictures of a stranger
_TENTHS = 10  # of all strangers' pictures, one of which is more than one person's
_ENOUGH = 3 * MOST_COHORT  # pictures of strangers; where people are few, each gives more


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Rows of a source's features, by the part that they play."""

    private: tuple[Rows, ...]
    """Of each person who enrolls, the pictures that they enroll."""
    uploads: tuple[Rows, ...]
    """Of each of them, new pictures."""
    cohort: Rows
    fitting: Rows
    testing: Rows


def thinned(who: Int64[Tensor, " n"], config: CalibrationConfig) -> Rows:
    """Return which pictures of a source are worth reading, in order: those of known people.

    Of a large source everybody's first picture comes before anybody's second one.
    """
    most = max(MOST_PICTURES, 3 * config.people * (config.pictures + _MOST_EACH))
    rows, _ = _in_rounds(who, config.seed)
    return rows[:most].sort().values


def draw_parts(who: Int64[Tensor, " n"], config: CalibrationConfig, *, enroll: bool) -> Parts:
    """Give everybody a part; with `enroll` some enroll, else all are strangers.

    Raises:
        DataError: people or pictures are too few for a part.
    """
    people = [int(p) for p in who.unique() if p != MISSING]
    shuffled = [people[i] for i in random_order(len(people), config.seed).tolist()]
    rows, _ = _in_rounds(who, config.seed)
    pictures = {p: rows[who[rows] == p] for p in shuffled}
    least = LEAST_STRANGERS + LEAST_ENROLLED * enroll
    if len(people) < least:
        some = f" ({LEAST_ENROLLED} enroll, {LEAST_STRANGERS} are strangers)" if enroll else ""
        raise DataError(
            f"expected public pictures of at least {least} people{some}, got {len(people)}; "
            "`label` has to say which person a picture shows, and more people are needed if it does"
        )
    chosen = _enrolling(pictures, config) if enroll else []
    enrolled = set(chosen)
    strangers = [p for p in shuffled if p not in enrolled]
    k = config.pictures
    cohort, fitting, testing = _in_thirds(who, strangers, config.seed)
    return Parts(
        private=tuple(pictures[p][:k] for p in chosen),
        uploads=tuple(pictures[p][k : k + _MOST_EACH] for p in chosen),
        cohort=cohort,
        fitting=fitting,
        testing=testing,
    )


def _enrolling(pictures: dict[int, Rows], config: CalibrationConfig) -> list[int]:
    """Return who enrolls, of people in random order: at most half, so that strangers are left."""
    for uploads in range(config.uploads, 0, -1):
        least = config.pictures + uploads
        able = [p for p, rows in pictures.items() if len(rows) >= least]
        if len(able) >= min(_SOME, config.people):
            break
    if len(able) < LEAST_ENROLLED:
        raise DataError(
            f"expected at least {LEAST_ENROLLED} people with {config.pictures} pictures to enroll "
            f"and one more to upload, got {len(able)} of {len(pictures)} people; take fewer "
            "`pictures`, or give more public pictures of some people"
        )
    return able[: min(config.people, len(pictures) // 2, len(pictures) - LEAST_STRANGERS)]


def _in_thirds(
    who: Int64[Tensor, " n"], strangers: list[int], seed: int
) -> tuple[Rows, Rows, Rows]:
    """Return the strangers' pictures in three parts, by person."""
    rows, rounds = _in_rounds(torch.where(torch.isin(who, torch.tensor(strangers)), who, -1), seed)
    few = rounds < _most_each(rounds)
    rows, rounds = rows[few], rounds[few]
    rows = rows[: max(_ENOUGH, int((rounds < _MOST_EACH).sum()))]
    if len(rows) < LEAST_COHORT:
        raise DataError(
            f"expected at least {LEAST_COHORT} pictures of people who do not enroll, "
            f"got {len(rows)}; give more public pictures"
        )
    first = min(MOST_COHORT, len(rows) // 3)
    parts: tuple[list[Rows], ...] = ([], [], [])
    sizes = [0, 0, 0]
    for person in strangers:
        own = rows[who[rows] == person]
        part = 0 if sizes[0] < first else 1 if sizes[1] < sizes[2] else 2
        parts[part].append(own)
        sizes[part] += len(own)
    return _joined(parts[0])[:MOST_COHORT], _joined(parts[1]), _joined(parts[2])


def _most_each(rounds: Rows) -> int:
    """Return how many pictures one stranger gives at most, so that nobody gives a tenth of all.

    Else a third would be one person, and the limits of all enrollments would follow their pictures.
    """
    every = torch.bincount(rounds).cumsum(0)  # by how many each gives at most
    able = (every >= _TENTHS * torch.arange(1, len(every) + 1)).nonzero()
    return max(_MOST_EACH, int(able[-1]) + 1 if len(able) else 0)


def _joined(parts: Iterable[Rows]) -> Rows:
    return torch.cat([torch.empty(0, dtype=torch.int64), *parts])


def _in_rounds(who: Int64[Tensor, " n"], seed: int) -> tuple[Rows, Rows]:
    """Return the rows of known people, in random order within each round, and each row's round.

    In a round everybody who has a picture left gives one.
    """
    order = random_order(len(who), seed)
    order = order[who[order] != MISSING]
    by_person = order[who[order].sort(stable=True).indices]
    counts = who[by_person].unique_consecutive(return_counts=True)[1]
    starts = (counts.cumsum(0) - counts).repeat_interleave(counts)
    rounds = torch.arange(len(by_person)) - starts
    mixed = random_order(len(rounds), seed + 1)
    ordered = mixed[rounds[mixed].sort(stable=True).indices]
    return by_person[ordered], rounds[ordered]
