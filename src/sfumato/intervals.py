"""How far a counted share may lie from the true one: Wilson's 95 % interval (1927)."""

from __future__ import annotations

import torch
from torch import Tensor

_NORMAL = 1.959964  # the normal distribution's quantile at 0.975


def wilson(shares: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Return both ends of the interval of each share of `counts` independent cases."""
    spread = _NORMAL**2 / counts
    middle = (shares + spread / 2) / (1 + spread)
    half = (spread * shares * (1 - shares) + spread**2 / 4).sqrt() / (1 + spread)
    # At 0 and at 1 an end is the share itself, but for rounding.
    low, high = torch.minimum(middle - half, shares), torch.maximum(middle + half, shares)
    return low.clamp(min=0), high.clamp(max=1)


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """Return the interval of one share."""
    low, high = wilson(torch.tensor(share).double(), torch.tensor(count).double())
    return float(low), float(high)
