"""Some rows of a bank, by the segments that hold them: found once, then gathered into tiles.

A bank of a million has more than a hundred segments, of each of which a list names a few rows. A
tile of its own for each took longer than the scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sfumato.filter.bank.scoring import Weights
from sfumato.filter.bank.segment import Segment


@dataclass(frozen=True, slots=True)
class Picks:
    """Rows in the order of their segments."""

    segments: tuple[Segment, ...]
    """Those that hold one of them."""
    counts: tuple[int, ...]
    """How many each holds."""
    places: Int64[Tensor, " k"]
    """Where in its segment each lies."""
    columns: Int64[Tensor, " k"]
    """Which of the rows that were asked for each is."""

    @classmethod
    def of(
        cls, segments: Sequence[Segment], rows: Int64[Tensor, " k"], device: torch.device
    ) -> Picks:
        """Find rows of a bank whose segments lie on that device."""
        sizes = torch.tensor([segment.count for segment in segments]).long()
        ends = sizes.cumsum(0)
        which = torch.bucketize(rows, ends, right=True)
        columns = which.argsort(stable=True)
        places = (rows - (ends - sizes)[which])[columns]
        held = torch.bincount(which, minlength=len(segments)).tolist()
        there = [(s, count) for s, count in zip(segments, held, strict=True) if count]
        return cls(
            tuple(s for s, _ in there),
            tuple(count for _, count in there),
            places.to(device),
            columns.to(device),
        )

    def column(self, name: str) -> Float[Tensor, " k"]:
        """Return one number of every row, in the order in which they were asked for."""
        parts = zip(self.segments, self.places.split(self.counts), strict=True)
        stored = [s.tensors[name].index_select(0, some) for s, some in parts]
        found = torch.empty(len(self.columns), device=self.columns.device)
        if stored:
            found[self.columns] = torch.cat(stored)
        return found.cpu()

    def tiles(
        self,
    ) -> Iterator[tuple[list[tuple[Weights, Int64[Tensor, " _"]]], Int64[Tensor, " t"]]]:
        """Yield tiles: the segments' weights with the places of some rows, and these' columns."""
        most = min((s.weights().most for s in self.segments[:1]), default=1)
        starts = list(accumulate(self.counts, initial=0))
        for first in range(0, len(self.places), most):
            last = min(first + most, len(self.places))
            yield (
                [
                    (s.weights(), self.places[max(first, start) : min(last, end)])
                    for s, start, end in zip(self.segments, starts, starts[1:], strict=False)
                    if start < last and end > first
                ],
                self.columns[first:last],
            )
