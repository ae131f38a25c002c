"""The near copies that enrollments claim, in the order in which they enrolled."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import reduce
from typing import Final

import torch
from jaxtyping import UInt8
from torch import Tensor

from sfumato.filter.neardup import BYTES, MATCH, distances

_AT_ONCE: Final = 8  # hashes compared with all others: a million of those take 256 MB


@dataclass(frozen=True, slots=True)
class Copy:
    """Whose enrolled picture an upload is a copy of."""

    enrollment: str
    distance: int
    """Bits in which the two hashes differ, at most `MATCH`."""
    view: int = 0
    """Which of the upload's pictures is the copy."""


class Copies:
    """Hashes by enrollment. Not thread-safe: `BankState` holds its lock."""

    def __init__(self) -> None:
        self._rows: dict[str, UInt8[Tensor, "k 32"]] = {}
        self.stacked: tuple[UInt8[Tensor, "n 32"], list[str]] | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, name: str, hashes: UInt8[Tensor, "k 32"]) -> None:
        """Let an enrollment claim copies; those before it come first."""
        self._rows[name] = hashes
        self.stacked = None

    def remove(self, name: str) -> None:
        """Forget an enrollment's hashes, and overwrite them."""
        for tensor in (self._rows.pop(name, None), self.stacked and self.stacked[0]):
            if tensor is not None:
                tensor.zero_()
        self.stacked = None

    def first(self, hashes: UInt8[Tensor, "v 32"], counts: Callable[[str], bool]) -> Copy | None:
        """Return the copy that was enrolled first, of the enrollments that count.

        The first one owns a picture: enrolling somebody else's after them gains nothing.

        Args:
            hashes: Of an upload's views; any of them may be near.
            counts: Whether an enrollment counts now.
        """
        stacked, names = self.stacked or self._stack()
        if not (len(hashes) and len(stacked)):
            return None
        # One view after the other: all at once would take 32 bytes for each pair.
        near = reduce(torch.minimum, (distances(view[None], stacked)[0] for view in hashes))
        for row in (near <= MATCH).nonzero()[:, 0].tolist():
            if counts(names[row]):
                return Copy(names[row], int(near[row]))
        return None

    def of_others(
        self, own: Container[str], among: Container[str] | None = None
    ) -> UInt8[Tensor, "m 32"]:
        """Return all hashes but those of enrollments in `own`; with `among`, only of those."""
        stacked, names = self.stacked or self._stack()
        wanted = [name not in own and (among is None or name in among) for name in names]
        return stacked[torch.tensor(wanted, dtype=torch.bool)]

    def _stack(self) -> tuple[UInt8[Tensor, "n 32"], list[str]]:
        names = [name for name, hashes in self._rows.items() for _ in range(len(hashes))]
        stacked = torch.cat([torch.empty(0, BYTES, dtype=torch.uint8), *self._rows.values()])
        self.stacked = (stacked, names)
        return self.stacked


def count_near(hashes: UInt8[Tensor, "k 32"], others: UInt8[Tensor, "m 32"]) -> int:
    """Return how many hashes are near to one of the others."""
    return sum(
        int((distances(part, others) <= MATCH).any(1).sum()) for part in hashes.split(_AT_ONCE)
    )
