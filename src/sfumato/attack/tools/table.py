"""The learner for releases that take few values: count how often each class released each value.

On what it was trained on, no network does better: it is naive Bayes over the values, and over the
labels that are released along with them, which are part of a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sfumato.attack.tools.scores import balanced_accuracy
from sfumato.data.imageset import MISSING

MOST = 2048
"""Different values, at most, that are looked up."""
_REPEATED = 2  # rows a value, on average, below which a count says nothing
_SMOOTHINGS = (0.1, 1.0, 10.0, 100.0)  # rows' worth of what everybody releases, mixed into a class

Rows = Float[Tensor, "n *shape"]
Table = Float[Tensor, "values classes"]


def learn_table(
    rows: Rows,
    targets: Mapping[str, Int64[Tensor, "n"]],
    held: tuple[Int64[Tensor, "a"], Int64[Tensor, "b"]],
) -> Callable[[Rows], dict[str, Tensor]] | None:
    """Return log-probabilities of classes by looking rows up, or None of rows that do not repeat.

    The smoothing of each label's table is the one that does best on the rows held out. A row that
    was not seen counts as the nearest one that was.
    """
    train, check = held
    known, index = rows[train].flatten(1).unique(dim=0, return_inverse=True)
    if len(known) > min(MOST, len(train) / _REPEATED):
        return None

    def look_up(new: Rows) -> Int64[Tensor, "n"]:
        return torch.cat([torch.cdist(part, known).argmin(1) for part in new.flatten(1).split(512)])

    checked = look_up(rows[check])
    tables = {}
    for name, values in targets.items():
        candidates = [
            class_table(index, values[train], len(known), int(values.max()) + 1, smoothing)
            for smoothing in _SMOOTHINGS
        ]
        tables[name] = max(candidates, key=lambda table: _right(table, checked, values[check]))

    def scores(new: Rows) -> dict[str, Tensor]:
        where = look_up(new)
        return {name: table[where] for name, table in tables.items()}

    return scores


def class_table(
    index: Int64[Tensor, "n"],
    values: Int64[Tensor, "n"],
    size: int,
    classes: int,
    smoothing: float,
) -> Table:
    """Return the logarithm of how probable each class is, given a value, all classes being equal.

    Of a class, value i has probability (count + smoothing * overall share) / (all + smoothing).
    """
    labelled = values != MISSING
    counts = torch.zeros(size, classes, dtype=torch.float64)
    ones = torch.ones(int(labelled.sum()), dtype=torch.float64)
    counts.index_put_((index[labelled], values[labelled]), ones, accumulate=True)
    overall = (counts.sum(1, keepdim=True) + 1) / (counts.sum() + size)
    given_class = (counts + smoothing * overall) / (counts.sum(0) + smoothing)
    present = counts.sum(0) > 0
    likely = torch.where(present, given_class, torch.zeros_like(given_class))
    return (likely / likely.sum(1, keepdim=True)).clamp(min=1e-12).log().float()


def _right(table: Table, where: Int64[Tensor, "b"], values: Int64[Tensor, "b"]) -> float:
    if not bool((values != MISSING).any()):
        return 0.0
    return balanced_accuracy(table[where].argmax(1), values)
