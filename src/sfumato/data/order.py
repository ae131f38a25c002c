"""A random order from a seed: splits, samples and shuffles all draw theirs here."""

from __future__ import annotations

import torch
from jaxtyping import Int64
from torch import Tensor


def random_order(count: int, seed: int) -> Int64[Tensor, "n"]:
    """Return the numbers from 0 to `count` in random order; the same seed gives the same order."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


def numpy_seed(seed: int) -> int:
    """Return a seed of any size as NumPy and scikit-learn take it, which PyTorch's may exceed."""
    return seed % 2**32
