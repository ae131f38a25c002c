"""The public scaler to [0, 1].

The paper `docl` needs features in [0, 1] (sigmoid output, binary cross-entropy) and does not say
how it scales them. Ours is affine per dimension between two quantiles of public images' features,
and clamps what lies outside. It is published with the extractor and part of its fingerprint.

Quantiles instead of extremes, because one odd public picture must not compress everyone's range;
0.5 % on each side, because clamping more begins to cost what tells pictures apart.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sfumato.errors import DataError

_TAIL = 0.005
_LEAST_SPAN = 0.01  # of the median span: a dimension that public images hardly move stays quiet
_LEAST_IMAGES = 2


class Scaler(nn.Module):
    """Maps each dimension's range [low, high] to [0, 1] and clamps.

    Shapes: `low`, `high` (d,) with low < high; `forward` takes and returns (n, d).
    """

    low: Tensor
    high: Tensor

    def __init__(self, low: Float[Tensor, "d"], high: Float[Tensor, "d"]) -> None:
        super().__init__()
        self.register_buffer("low", low)
        self.register_buffer("high", high)

    @classmethod
    def identity(cls, dim: int) -> Scaler:
        """Return the scaler of values that are in [0, 1] already."""
        return cls(torch.zeros(dim), torch.ones(dim))

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """Return the scaled features."""
        return ((x - self.low) / (self.high - self.low)).clamp(0, 1)


def fit_scaler(features: Float[Tensor, "n d"], *, tail: float = _TAIL) -> Scaler:
    """Fit a scaler on public images' features: their `tail` and 1 - `tail` quantiles a dimension.

    A dimension that is nearly constant on public images gets 1 % of the median span around its
    middle, so that noise is not stretched to the whole range.

    Raises:
        DataError: fewer than two images, a value that is not finite, or no dimension varies.
    """
    if len(features) < _LEAST_IMAGES or not bool(features.isfinite().all()):
        raise DataError(
            f"a scaler needs finite features of at least {_LEAST_IMAGES} public images, "
            f"got {len(features)}"
        )
    # One column at a time: torch.quantile refuses more than 16 million values.
    points = torch.tensor([tail, 1 - tail])
    low, high = torch.stack(
        [torch.quantile(c, points) for c in features.float().cpu().T.unbind()], 1
    )
    span = high - low
    varying = span[span > 0]
    if not len(varying):
        raise DataError("the backbone gives the same features for all public images; use others")
    widened = span.clamp(min=_LEAST_SPAN * float(varying.median()))
    middle = (low + high) / 2
    narrow = span < widened
    low = torch.where(narrow, middle - widened / 2, low)
    return Scaler(low, torch.where(narrow, middle + widened / 2, high))
