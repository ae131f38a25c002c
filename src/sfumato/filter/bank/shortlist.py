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

Most rows are ruled out by a sketch of m (`sketch`), a quarter of its numbers at D = 128. Where it
leaves many of a block, a longer sketch rules out others, and where that leaves many, or for several
features at once, a product of all numbers. What is left is measured in float32, and what lies so
near the edge that rounding might decide in float64. All of them give way for rounding, so the list
is the formula's own.
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
# One pair in so many is worth a product of the whole block: of one feature by what makes its
# sketches longer, which is read, of several by all numbers, which is computed from cache.
_MANY: Final = 32
_MOST: Final = 4  # one row in so many is worth all numbers of all rows in place of these rows' own
_MANY_TOGETHER: Final = 128
_PAIRS: Final = 1 << 11  # measured at once: 1 MiB at D = 128
_TINY: Final = 1e-12  # far above what squares lose by underflow, far below any limit's root
_CHUNK: Final = 1 << 11  # rows asked of several features at once: what comes out stays in cache


@dataclass(slots=True)
class Block:
    """Rows in one piece of memory, of which the first `count` are in use."""

    means: Float[Tensor, "rows d"]
    spread: Float[Tensor, " rows"]
    sketches: Float[Tensor, "k rows"]
    """A column a row, so that a product with one sketch goes through memory in long runs."""
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


@dataclass(frozen=True, slots=True)
class _Asked:
    """Features, their sketches, and what the squares of these add to a bound."""

    x: Float[Tensor, "b d"]
    short: Float[Tensor, "b k"]
    longer: Float[Tensor, "b k2"]
    own: Float[Tensor, " b"]
    whole: Float[Tensor, " b"]
    """What the squares of the features themselves add."""

    @classmethod
    def of(cls, x: Float[Tensor, "b d"], sketch: Sketch) -> _Asked:
        sketches = sketch(x)
        short = sketches[:, : sketch.short].contiguous()
        return cls(x, short, sketch.longer(sketches), _share(short), _share(x))


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
            block.sketches[:, rows] = self.sketch(means[:room]).T
            block.count += room
            means, spread = means[room:], spread[room:]
        if any(before < at <= len(self) for at in _FITS):
            self._fit()

    def remove(self, row: int) -> None:
        """Overwrite a row by the last one, whose place is wiped: as a bank removes."""
        self._reaches = None
        place, last = self.blocks[row // self.rows_a_block], self.blocks[-1]
        last.count -= 1
        for of, to in (
            (last.means, place.means),
            (last.spread, place.spread),
            (last.sketches.T, place.sketches.T),
        ):
            to[row % self.rows_a_block] = of[last.count]
            of[last.count] = 0
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
        asked = _Asked.of(x, self.sketch)
        for i, (block, reach) in enumerate(zip(self.blocks, reaches, strict=True)):
            yield partial(_search, asked, block, reach, i * self.rows_a_block, found, i)

    def _reaching(self, limits: Float[Tensor, " n"]) -> list[_Reaches]:
        kept = self._reaches
        if kept is None or kept[0] is not limits or kept[1] != self.reach:
            counts = [block.count for block in self.blocks]
            starts = [end - count for end, count in zip(accumulate(counts), counts, strict=True)]
            made = [
                _reaches(block, limits[start : start + block.count], self.reach, self.sketch.short)
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
            block.sketches.zero_()  # so that no erased enrollment stays in memory nobody owns
            block.sketches = torch.zeros(self.sketch.size, self.rows_a_block)
            block.sketches[:, : block.count] = self.sketch(block.means[: block.count]).T

    def _empty(self) -> Block:
        rows = self.rows_a_block
        return Block(
            torch.zeros(rows, self._dim),
            torch.zeros(rows),
            torch.zeros(self.sketch.size, rows),
        )


def _reaches(block: Block, limits: Float[Tensor, " n"], reach: float, short: int) -> _Reaches:
    radius = limits.clamp(min=0).sqrt() + reach * block.spread[: block.count]
    radius = radius.masked_fill(limits < 0, -1.0)
    sketched, whole = (
        _bound(torch.linalg.vector_norm(points, dim=1).square(), radius)
        for points in (block.sketches[:short, : block.count].T, block.means[: block.count])
    )
    return _Reaches(radius, sketched, whole)


def _bound(squares: Float[Tensor, " n"], radius: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Return what |a - b| <= r asks of the product of a and b, less what b's square adds."""
    bound = ((1 - SLACK) * squares - (1 + SLACK) * radius.square()) / 2
    return bound.masked_fill(radius < 0, torch.inf)


def _share(points: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
    """Return what b's square adds."""
    return points.square().sum(1) * ((1 - SLACK) / 2)


def _search(
    asked: _Asked,
    block: Block,
    reach: _Reaches,
    start: int,
    found: list[Int64[Tensor, "_ 2"]],
    place: int,
) -> None:
    """Write to `found` which rows of a block are near which features; of one feature in order."""
    if len(asked.x) == 1:
        parts = _left_of_one(asked, block, reach).split(_PAIRS)
    else:
        parts = tuple(_left_of_several(asked, block, reach))
    near = [part[measured(asked.x, block, reach, part)] for part in parts]
    if near:
        found[place] = torch.cat(near) + torch.tensor([start, 0])


def _left_of_one(asked: _Asked, block: Block, reach: _Reaches) -> Int64[Tensor, "p 2"]:
    """Return the rows that sketches leave; a NaN rules nothing out."""
    points, short = block.sketches[:, : block.count], asked.short.shape[1]
    product = torch.addmv(reach.sketched, points[:short].T, asked.short[0], beta=-1)
    rows = (product < asked.own).logical_not_().nonzero()
    if len(rows) * _MANY > block.count and len(points) > short:
        product.addmv_(points[short - 1 :].T, asked.longer[0])
        rows = (product < asked.own).logical_not_().nonzero()
    if len(rows) * _MOST > block.count:
        product = torch.mv(block.means[: block.count], asked.x[0]).sub_(reach.whole)
        rows = (product < asked.whole).logical_not_().nonzero()
    return torch.nn.functional.pad(rows, (0, 1))


def _left_of_several(
    asked: _Asked, block: Block, reach: _Reaches
) -> Iterator[Int64[Tensor, "p 2"]]:
    """Yield the pairs that a bound leaves, some rows at a time."""
    points, own = block.sketches[: asked.short.shape[1]], asked.own[:, None]
    for first in range(0, block.count, _CHUNK):
        rows = slice(first, min(first + _CHUNK, block.count))
        left = ~(asked.short @ points[:, rows] < reach.sketched[rows] + own)
        pairs = left.nonzero()
        if len(pairs) * _MANY_TOGETHER > left.numel():
            left &= ~(asked.x @ block.means[rows].T < reach.whole[rows] + asked.whole[:, None])
            pairs = left.nonzero()
        yield from (pairs.flip(1) + torch.tensor([first, 0])).split(_PAIRS)


def measured(
    x: Float[Tensor, "b d"], block: Block, reach: _Reaches, pairs: Int64[Tensor, "p 2"]
) -> Bool[Tensor, " p"]:
    """Return which pairs are near: the formula itself, in float64 where float32 does not do."""
    rows, which = pairs.unbind(1)
    radius, other = reach.radius[rows], x if len(x) == 1 else x[which]
    apart = block.means.index_select(0, rows).sub_(other)
    rough = torch.linalg.vector_norm(apart, dim=1)
    apart.zero_()  # so that no erased enrollment stays in memory that nobody owns
    near: Tensor = rough < radius * (1 - SLACK) - _TINY
    unsure = (near | (rough > radius * (1 + SLACK) + _TINY)).logical_not_().nonzero()[:, 0]
    if len(unsure):
        near[unsure] = _exactly(x, block, radius[unsure], pairs[unsure])
    return near


def _exactly(
    x: Float[Tensor, "b d"], block: Block, radius: Float[Tensor, " p"], pairs: Int64[Tensor, "p 2"]
) -> Bool[Tensor, " p"]:
    rows, which = pairs.unbind(1)
    means = block.means[rows]
    apart = means.double()
    distance = torch.linalg.vector_norm(apart.sub_(x[which]), dim=1)
    means.zero_()
    apart.zero_()
    near: Tensor = ~(distance > radius.double()) & ~(radius < 0)
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
