"""Optimal transport by which every private value uses each prototype equally often."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

Shares = Float[Tensor, "n prototypes"]
"""How each image is divided among the prototypes; rows sum to 1."""


@torch.no_grad()
def balanced_division(
    similarities: Float[Tensor, "n prototypes"],
    labels: Int64[Tensor, "n"],
    *,
    sharpness: float,
    rounds: int,
) -> Shares:
    """Divide images among prototypes by similarity, every private value using each equally.

    Rows sum to 1; over the rows of one private value all columns have nearly the same sum, the
    more nearly the more rounds.
    """
    values, count = int(labels.max()) + 1, similarities.shape[1]
    top = similarities.amax(1, keepdim=True)
    shares = ((similarities - top) / sharpness).exp()
    wanted = torch.bincount(labels, minlength=values).to(shares) / count
    for _ in range(rounds):
        used = torch.zeros(values, count, device=shares.device).index_add_(0, labels, shares)
        shares = shares * (wanted[:, None] / used.clamp(min=1e-9))[labels]
        shares = shares / shares.sum(1, keepdim=True)
    return shares
