"""Codes drawn as the owner's pictures might have them, from the code statistics of screening."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def draw_codes(
    mean: Float[Tensor, " m"], covariance: Float[Tensor, "m m"], count: int, *, seed: int
) -> Float[Tensor, "count m"]:
    """Return codes drawn from a normal distribution, cut at zero as eq. (2) leaves them."""
    values, vectors = torch.linalg.eigh(covariance.double())
    root = vectors * values.clamp(min=0).sqrt()  # rank may be below M: few images, or dead units
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(count, len(mean), generator=generator, dtype=torch.float64)
    codes: Tensor = mean.double() + z @ root.mT
    return codes.relu().to(mean.dtype)
