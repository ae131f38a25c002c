"""The training runs that attacks recorded: whether an attacker went on until nothing came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sfumato.audit.measure.cell import Cell


@dataclass(frozen=True, slots=True)
class Training:
    """One attacker's run: its figure on its own held-out pictures after each epoch."""

    learner: str
    seed: int
    chosen: bool
    """Whether this is the run whose figure counts."""
    validated: tuple[float, ...]
    best_epoch: int
    """Counted from 0; its weights are the ones that were used."""
    stopped_early: bool
    """Whether it ended because nothing more was gained, not because its epochs were used up."""


def trainings(cell: Cell) -> list[Training]:
    """Return the runs of a cell that left a curve; a report may come from anyone, or have none."""
    if cell.finding is None:
        return []
    return list(_read(cell.finding.details, cell.finding.seeds))


def learners_used(cell: Cell) -> list[str]:
    """Return the kinds of learner whose figures count, with or without a curve of their own."""
    if cell.finding is None:
        return []
    details, used = cell.finding.details, set()
    with suppress(KeyError, TypeError):
        used = {str(entry["learner"]) for entry in details["learners"] if entry["chosen"]}
    with suppress(KeyError, TypeError):
        used |= {str(entry["matcher"]) for entry in details["matchers"]}
    with suppress(KeyError, TypeError):
        used |= {str(name) for name in details["decoders"]}
    return sorted(used)


def _read(details: Mapping[str, Any], seeds: tuple[int, ...]) -> Iterator[Training]:
    with suppress(KeyError, TypeError, ValueError, AttributeError):
        for entry in details.get("learners", ()):
            if entry["training"]:
                chosen = entry["chosen"] is True
                yield _training(
                    str(entry["learner"]), int(entry["seed"]), chosen, entry["training"]
                )
    with suppress(KeyError, TypeError, ValueError, AttributeError):
        for seed, training in zip(seeds, details.get("training", ()), strict=False):
            if training:
                yield _training("generator", seed, True, training)


def _training(learner: str, seed: int, chosen: bool, document: Mapping[str, Any]) -> Training:
    return Training(
        learner=learner,
        seed=seed,
        chosen=chosen,
        validated=tuple(float(value) for value in document["curves"]["validated"]),
        best_epoch=int(document["best_epoch"]),
        stopped_early=document["stopped_early"] is True,
    )
