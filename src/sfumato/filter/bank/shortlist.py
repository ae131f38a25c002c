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

A row is D + 2 numbers beside the 2 M D of an autoencoder, and D products instead of 2 M D.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from sfumato.errors import ConfigError
from sfumato.filter.bank.segment import Segment

SMALL: Final = 1000
"""Banks with fewer enrollments score all of them, because a list would save nothing."""
_BLOCK_BYTES = 16 << 20


@dataclass(slots=True)
class Block:
    """Rows in one piece of memory, of which the first `count` are in use."""

    means: Float[Tensor, "rows d"]
    numbers: Float[Tensor, "rows 2"]
    """Of each mean its square, and the spread."""
    count: int = 0


class Shortlist:
    """One row an enrollment, in the order of a bank's rows. Not thread-safe: a bank's lock is.

    Which `reach` finds every claim depends on the extractor: 0.5 on faces, 1.5 on digits. The
    paper's recipe `shortlist` measures it.
    """

    def __init__(self, dim: int, *, reach: float) -> None:
        if not reach >= 0:
            raise ConfigError(f"expected a reach of at least 0, got {reach}")
        self.reach = reach
        self._dim = dim
        self.rows_a_block = max(1, _BLOCK_BYTES // (4 * dim))
        self.blocks: list[Block] = []

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
        if not self.blocks or self.blocks[-1].count == self.rows_a_block:
            means = torch.zeros(self.rows_a_block, self._dim)
            self.blocks.append(Block(means, torch.zeros(self.rows_a_block, 2)))
        block = self.blocks[-1]
        own = {name: tensor[place] for name, tensor in segment.tensors.items()}
        mean, spread = reconstructions(
            own["decoder"].float(), own["decoder_bias"], own["code_mean"], own["code_covariance"]
        )
        block.means[block.count] = mean
        block.numbers[block.count] = torch.stack((mean.square().sum(), spread))
        block.count += 1

    def remove(self, row: int) -> None:
        """Overwrite a row by the last one, whose place is wiped: as a bank removes."""
        place, last = self.blocks[row // self.rows_a_block], self.blocks[-1]
        last.count -= 1
        for kept, moved in ((place.means, last.means), (place.numbers, last.numbers)):
            kept[row % self.rows_a_block] = moved[last.count]
            moved[last.count] = 0
        if not last.count:
            self.blocks.pop()

    def near(self, x: Float[Tensor, "b d"], limits: Float[Tensor, " n"]) -> Int64[Tensor, " k"]:
        """Return the rows, in order, of all that may claim one of the features.

        Raises:
            ConfigError: there is not one limit a row.
        """
        return self.listed(x, limits).any(1).nonzero()[:, 0]

    def listed(self, x: Float[Tensor, "b d"], limits: Float[Tensor, " n"]) -> Bool[Tensor, "n b"]:
        """Return which rows may claim which of the features, each up to its limit of the error.

        Numbers that overflowed rule nothing out: such a row is listed.

        Raises:
            ConfigError: there is not one limit a row.
        """
        if len(limits) != len(self):
            raise ConfigError(f"expected a limit for each of {len(self)} rows, got {len(limits)}")
        squares, found = x.square().sum(1), []
        for i, block in enumerate(self.blocks):
            start = i * self.rows_a_block
            square, spread = block.numbers[: block.count].unbind(1)
            limit = limits[start : start + block.count]
            radius = limit.clamp(min=0).sqrt() + self.reach * spread
            products = _products(block.means[: block.count], x)
            distance = products.mul_(-2).add_((square - radius.square())[:, None]).add_(squares)
            found.append(~(distance > 0) & ~(limit < 0)[:, None])
        return torch.cat(found) if found else torch.empty(0, len(x), dtype=torch.bool)


def _products(means: Float[Tensor, "n d"], x: Float[Tensor, "b d"]) -> Float[Tensor, "n b"]:
    """One image as a matrix times a vector, which reads memory at its speed."""
    return torch.mv(means, x[0])[:, None] if len(x) == 1 else means @ x.T


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
