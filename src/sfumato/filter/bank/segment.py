"""A run of enrollments in memory or in a mapped file: rows of stacked tensors, and their erasure.

A bank grows by whole segments, so enrollments are never copied to make room. A row that is
overwritten here therefore has no second copy.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sfumato.filter.bank.scoring import Weights
from sfumato.filter.enrollment import Enrollment

STORED = (torch.float32, torch.bfloat16)
_MATRICES = ("encoder", "decoder")
_CPU = torch.device("cpu")


def shapes(dim: int, hidden: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of one enrollment's row in each tensor."""
    return {
        "encoder": (hidden, dim),
        "encoder_bias": (hidden,),
        "decoder": (dim, hidden),
        "decoder_bias": (dim,),
        "code_mean": (hidden,),
        "code_covariance": (hidden, hidden),
        "mu": (),
        "sigma": (),
    }


def dtypes(dtype: torch.dtype) -> dict[str, torch.dtype]:
    """Return each tensor's dtype: `dtype` for the two matrices, float32 for all that is small."""
    names = shapes(1, 1)
    return {name: dtype if name in _MATRICES else torch.float32 for name in names}


class Segment:
    """Up to `capacity` enrollments, of which the first `count` are in use."""

    def __init__(self, tensors: Mapping[str, Tensor], count: int) -> None:
        self.tensors = dict(tensors)
        self.count = count

    @classmethod
    def empty(
        cls,
        capacity: int,
        dim: int,
        hidden: int,
        dtype: torch.dtype,
        device: torch.device = _CPU,
    ) -> Segment:
        """Return an unused segment. The system hands out its pages when they are first written."""
        kinds = dtypes(dtype)
        return cls(
            {
                n: torch.zeros(capacity, *s, dtype=kinds[n], device=device)
                for n, s in shapes(dim, hidden).items()
            },
            0,
        )

    def to(self, device: torch.device) -> Segment:
        """Return this segment on a device: itself, where it is there."""
        if self.tensors["mu"].device == device:
            return self
        return Segment({name: t.to(device) for name, t in self.tensors.items()}, self.count)

    @property
    def capacity(self) -> int:
        """The number of rows there are."""
        return len(self.tensors["mu"])

    def weights(self) -> Weights:
        """Return what scoring reads, of the rows in use."""
        names = ("encoder", "encoder_bias", "decoder", "decoder_bias")
        return Weights(*(self.tensors[name][: self.count] for name in names))

    def append(self, enrollment: Enrollment) -> None:
        """Write an enrollment to the next row; it counts from then on."""
        row = self.count
        for name, tensor in self.tensors.items():
            # Rounded first: a device is given what it stores.
            tensor[row] = torch.as_tensor(getattr(enrollment, name)).to(tensor)
        self.count += 1

    def overwrite(self, row: int, other: Segment, other_row: int) -> None:
        """Replace a row by a copy of another one."""
        for name, tensor in self.tensors.items():
            tensor[row].copy_(other.tensors[name][other_row])

    def drop_last(self) -> None:
        """Wipe the last row in use."""
        self.count -= 1
        for tensor in self.tensors.values():
            tensor[self.count].zero_()

    def used(self) -> dict[str, Tensor]:
        """Return the rows in use, as they are written to disk."""
        return {name: tensor[: self.count] for name, tensor in self.tensors.items()}
