"""An attack on features whose dimensions one key has put in another order.

Whoever has intercepted many of them, and knows the public extractor, tells which dimension is which
by how it is distributed and by which others it varies with. No key, label or pair is needed.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from sfumato.errors import DataError

Rows = Float[Tensor, "n d"]
_QUANTILES = 33
_ROUNDS = 20  # at most; it ends as soon as nothing changes


def order_of(intercepted: Rows, public: Float[Tensor, "m d"]) -> Int64[Tensor, "d"]:
    """Return, for each public dimension, the intercepted one that it is taken for.

    Raises:
        DataError: the two have different dimensions, or a single row.
    """
    if intercepted.shape[1:] != public.shape[1:] or min(len(intercepted), len(public)) < 2:
        raise DataError(
            "expected two sets of features of the same dimensions and of two rows or more, got "
            f"{tuple(intercepted.shape)} and {tuple(public.shape)}"
        )
    cost = torch.cdist(_shape(public), _shape(intercepted))
    order = _assigned(cost)
    known, hidden = public.double().T.cov(), intercepted.double().T.cov()
    cost, scale = cost / cost.mean(), known.norm(dim=1).mean()
    for _ in range(_ROUNDS):
        # With this order, which intercepted dimension varies with the others as this one does?
        varies = torch.cdist(known, hidden[:, order]) / scale
        better = _assigned(cost + varies)
        if torch.equal(better, order):
            break
        order = better
    return order


def matched(intercepted: Rows, public: Float[Tensor, "m d"]) -> Rows:
    """Return intercepted features in the order of public ones."""
    return intercepted[:, order_of(intercepted, public)]


def _shape(rows: Rows) -> Float[Tensor, "d quantiles"]:
    at = torch.linspace(0, 1, _QUANTILES, dtype=torch.float64)
    return rows.double().quantile(at, dim=0).T.contiguous()


def _assigned(cost: Float[Tensor, "d d"]) -> Int64[Tensor, "d"]:
    return torch.from_numpy(linear_sum_assignment(cost.numpy())[1]).long()
