"""A shortlist: the enrollments that may claim an upload. Only those are scored.

An enrollment claims x if the squared error (6) of its reconstruction y is at most its limit. Its
reconstructions lie around one point m, the decoded mean of its codes. Their root mean square
distance from m, the `spread`, follows from the decoder and the codes' covariance.
An enrollment is listed if its limit is not negative and

    |x - m| <= sqrt(limit) + reach * spread.

By the triangle inequality the list contains every enrollment that claims x and whose reconstruction
of x lies within `reach` times `spread` of m.

Whether an enrollment is listed depends on its own numbers alone. A list of the k nearest would be
unsafe: an adversary could fill it with k enrollments that report to be near and claim nothing, and
the victim's would not be scored. Here a false number of an enrollment costs the platform one score
more, or hides that enrollment and no other.

Most rows are ruled out by a sketch of m (`sketch`), a quarter of its numbers at D = 128. Where a
sketch leaves many of a block, a product in float32 rules out others. What both leave is measured in
float64. Both give way for rounding, so the list is the formula's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Final

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from sfumato.errors import ConfigError
from sfumato.filter.bank.segment import Segment
from sfumato.filter.bank.sketch import SLACK, Sketch
from sfumato.filter.bank.workers import run_all

SMALL: Final = 1000
"""Banks with fewer enrollments score all of them, because a list would save nothing."""
_BLOCK_BYTES = 16 << 20
_FITS: Final = (1 << 10, 1 << 12, 1 << 14, 1 << 16)  # rows at which sketches are made anew
_FITTED_ON: Final = 1 << 12  # rows, evenly of all
# One pair in so many is worth the product of all: of one feature it reads memory, of several it
# computes from cache.
_MANY: Final = 8
_MANY_TOGETHER: Final = 128
_PAIRS: Final = 1 << 13  # measured at once
_CHUNK: Final = 1 << 11  # rows asked of several features at once: what comes out stays in cache


@dataclass(slots=True)
class Block:
    """Rows in one piece of memory, of which the first `count` are in use."""

    means: Float[Tensor, "rows d"]
    spread: Float[Tensor, " rows"]
    sketches: Float[Tensor, "rows k"]
    count: int = 0


@dataclass(frozen=True, slots=True)
class Listed:
    """Who may claim one of some features."""

    rows: Int64[Tensor, " k"]
    """In order."""
    who: Bool[Tensor, "k b"]
    """Which of the features each of them may claim."""


@dataclass(frozen=True, slots=True)
class _Reaches:
    """How far the rows of a block claim, for one tensor of limits.

    A row's bound is what the product of two points must reach so that they are near enough, apart
    from the second point's own share.
    """

    radius: Float[Tensor, " rows"]
    """NaN where numbers overflowed, -1 where a row claims nothing."""
    sketched: Float[Tensor, " rows"]
    whole: Float[Tensor, " rows"]


class Shortlist:
    """One row an enrollment, in the order of a bank's rows. Not thread-safe: a bank's lock is.

    Which `reach` finds every claim depends on the extractor: 0.5 on faces, 1.5 on digits. The
    paper's recipe `shortlist` measures it.
    """

    def __init__(self, dim: int, *, reach: float) -> None:
        if not reach >= 0:
            raise ConfigError(f"expected a reach of at least 0, got {reach}")
        self.reach = reach
        self.sketch = Sketch.plain(dim)
        self._dim = dim
        self.rows_a_block = max(1, _BLOCK_BYTES // (4 * dim))
        self.blocks: list[Block] = []
        self._reaches: tuple[Tensor, float, list[_Reaches]] | None = None

    @classmethod
    def of(cls, segments: Iterable[Segment], dim: int, *, reach: float) -> Shortlist:
        """Return the list of enrollments that are stored already; it reads every decoder once."""
        made = cls(dim, reach=reach)
        for segment in segments:
            for place in range(segment.count):
                made.append(segment, place)
        return made

    def __len__(self) -> int:
        return sum(block.count for block in self.blocks)

    def append(self, segment: Segment, place: int) -> None:
        """Add the enrollment in that place of a segment as the last row."""
        own = {name: tensor[place].cpu() for name, tensor in segment.tensors.items()}
        self.append_rows(
            *(
                number[None]
                for number in reconstructions(
                    own["decoder"].float(),
                    own["decoder_bias"],
                    own["code_mean"],
                    own["code_covariance"],
                )
            )
        )

    def append_rows(self, means: Float[Tensor, "n d"], spread: Float[Tensor, " n"]) -> None:
        """Add rows by their decoded means, and how far reconstructions are spread around them."""
        self._reaches = None
        before = len(self)
        while len(means):
            if not self.blocks or self.blocks[-1].count == self.rows_a_block:
                self.blocks.append(self._empty())
            block = self.blocks[-1]
            room = min(len(means), self.rows_a_block - block.count)
            rows = slice(block.count, block.count + room)
            block.means[rows], block.spread[rows] = means[:room], spread[:room]
            block.sketches[rows] = self.sketch(means[:room])
            block.count += room
            means, spread = means[room:], spread[room:]
        if any(before < at <= len(self) for at in _FITS):
            self._fit()

    def remove(self, row: int) -> None:
        """Overwrite a row by the last one, whose place is wiped: as a bank removes."""
        self._reaches = None
        place, last = self.blocks[row // self.rows_a_block], self.blocks[-1]
        last.count -= 1
        for name in ("means", "spread", "sketches"):
            moved = getattr(last, name)
            getattr(place, name)[row % self.rows_a_block] = moved[last.count]
            moved[last.count] = 0
        if not last.count:
            self.blocks.pop()

    def near(self, x: Float[Tensor, "b d"], limits: Float[Tensor, " n"]) -> Int64[Tensor, " k"]:
        """Return the rows, in order, of all that may claim one of the features.

        Raises:
            ConfigError: there is not one limit a row.
        """
        return self.listed(x, limits).rows

    def listed(self, x: Float[Tensor, "b d"], limits: Float[Tensor, " n"]) -> Listed:
        """Return which rows may claim which of the features, each up to its limit of the error.

        Numbers that overflowed rule nothing out: such a row is listed. What follows from `limits`
        is kept until other limits come: the same tensor must not have changed meanwhile.

        Raises:
            ConfigError: there is not one limit a row.
        """
        if len(limits) != len(self):
            raise ConfigError(f"expected a limit for each of {len(self)} rows, got {len(limits)}")
        reaches, x = self._reaching(limits), x.float()
        found: list[Int64[Tensor, "_ 2"]] = [torch.empty(0, 2).long() for _ in self.blocks]
        run_all(self._tasks(x, reaches, found), _nothing)
        pairs = torch.cat(found) if found else torch.empty(0, 2).long()
        if len(x) == 1:
            return Listed(pairs[:, 0].contiguous(), torch.ones(len(pairs), 1, dtype=torch.bool))
        rows, which = pairs[:, 0].unique(return_inverse=True)
        who = torch.zeros(len(rows), len(x), dtype=torch.bool)
        who[which, pairs[:, 1]] = True
        return Listed(rows, who)

    def _tasks(
        self,
        x: Float[Tensor, "b d"],
        reaches: list[_Reaches],
        found: list[Int64[Tensor, "_ 2"]],
    ) -> Iterator[partial[None]]:
        asked = self.sketch(x)
        for i, (block, reach) in enumerate(zip(self.blocks, reaches, strict=True)):
            yield partial(_search, x, asked, block, reach, i * self.rows_a_block, found, i)

    def _reaching(self, limits: Float[Tensor, " n"]) -> list[_Reaches]:
        kept = self._reaches
        if kept is None or kept[0] is not limits or kept[1] != self.reach:
            counts = [block.count for block in self.blocks]
            starts = [end - count for end, count in zip(accumulate(counts), counts, strict=True)]
            made = [
                _reaches(block, limits[start : start + block.count], self.reach)
                for start, block in zip(starts, self.blocks, strict=True)
            ]
            kept = self._reaches = (limits, self.reach, made)
        return kept[2]

    def _fit(self) -> None:
        """Sketch all rows anew, by the directions in which they vary most."""
        every = -(-len(self) // _FITTED_ON)
        some = torch.cat([block.means[: block.count : every] for block in self.blocks])
        self.sketch = Sketch.fitted(some)
        for block in self.blocks:
            used = block.means[: block.count]
            block.sketches = torch.zeros(self.rows_a_block, self.sketch.size)
            block.sketches[: block.count] = self.sketch(used)

    def _empty(self) -> Block:
        rows = self.rows_a_block
        return Block(
            torch.zeros(rows, self._dim),
            torch.zeros(rows),
            torch.zeros(rows, self.sketch.size),
        )


def _reaches(block: Block, limits: Float[Tensor, " n"], reach: float) -> _Reaches:
    radius = limits.clamp(min=0).sqrt() + reach * block.spread[: block.count]
    radius = radius.masked_fill(limits < 0, -1.0)
    sketched, whole = (
        _bound(points[: block.count].square().sum(1), radius)
        for points in (block.sketches, block.means)
    )
    return _Reaches(radius, sketched, whole)


def _bound(squares: Float[Tensor, " n"], radius: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Return what |a - b| <= r asks of the product of a and b, less what b's square adds."""
    bound = ((1 - SLACK) * squares - (1 + SLACK) * radius.square()) / 2
    return bound.masked_fill(radius < 0, torch.inf)


def _left(
    points: Float[Tensor, "n k"], bound: Float[Tensor, " n"], asked: Float[Tensor, "b k"]
) -> Bool[Tensor, "b n"]:
    """Return which rows a bound leaves; a NaN rules nothing out."""
    own = asked.square().sum(1) * ((1 - SLACK) / 2)
    if len(asked) == 1:  # as a matrix times a vector, which reads memory at its speed
        return ~(torch.mv(points, asked[0]) < bound + own)[None]
    return ~(asked @ points.T < bound + own[:, None])


def _search(
    x: Float[Tensor, "b d"],
    asked: Float[Tensor, "b k"],
    block: Block,
    reach: _Reaches,
    start: int,
    found: list[Int64[Tensor, "_ 2"]],
    place: int,
) -> None:
    """Write to `found` which rows of a block are near which features; of one feature in order."""
    near: list[Int64[Tensor, "_ 2"]] = []
    step = block.count if len(x) == 1 else _CHUNK
    for first in range(0, block.count, step):
        rows = slice(first, min(first + step, block.count))
        left = _left(block.sketches[rows], reach.sketched[rows], asked)
        pairs = left.nonzero().flip(1)
        if len(pairs) * (_MANY if len(x) == 1 else _MANY_TOGETHER) > left.numel():
            pairs = (left & _left(block.means[rows], reach.whole[rows], x)).nonzero().flip(1)
        pairs[:, 0] += first
        near += [part[_measured(x, block, reach, part)] for part in pairs.split(_PAIRS)]
    if near:
        found[place] = torch.cat(near) + torch.tensor([start, 0])


def _measured(
    x: Float[Tensor, "b d"], block: Block, reach: _Reaches, pairs: Int64[Tensor, "p 2"]
) -> Bool[Tensor, " p"]:
    """Return which pairs are near: the formula itself, in float64."""
    rows, which = pairs.unbind(1)
    radius, means = reach.radius[rows].double(), block.means[rows]
    apart = means.double()
    distance = torch.linalg.vector_norm(apart.sub_(x[which]), dim=1)
    means.zero_()  # so that no erased enrollment stays in memory that nobody owns
    apart.zero_()
    near: Tensor = ~(distance > radius) & ~(radius < 0)
    return near


def _nothing() -> None:
    """End a thread's share: what it used is the list's own memory."""


def reconstructions(
    decoder: Float[Tensor, "d m"],
    bias: Float[Tensor, " d"],
    code_mean: Float[Tensor, " m"],
    code_covariance: Float[Tensor, "m m"],
) -> tuple[Float[Tensor, " d"], Float[Tensor, ""]]:
    """Return the decoded mean of the codes, and how far reconstructions are spread around it.

    The spread is the root of their covariance's trace, with the sigmoid of eq. (3) as its tangent
    in the mean.
    """
    mean = torch.addmv(bias, decoder, code_mean.relu()).sigmoid()
    tangent = decoder * (mean * (1 - mean))[:, None]
    return mean, ((tangent @ code_covariance) * tangent).sum().clamp(min=0).sqrt()
