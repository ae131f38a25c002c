"""What the numbers of an enrollment may be, as every reader checks them.

A bank stores float32, so a number is judged by what float32 makes of it: 1e-60 is 0 there, and
1e300 infinite. Within these bounds no score of any feature in [0, 1] overflows: a code is below
D LARGEST, what the decoder makes of it below M D LARGEST^2, which for the largest file is 2^62, and
errors in units of mu or sigma stay below D / LEAST. Float32 reaches 2^127.
"""

from __future__ import annotations

from typing import Final

from torch import Tensor

LEAST: Final = 2.0**-40
"""Least mu and sigma. Devices raise smaller ones to it: equal pictures have no errors at all."""
LARGEST: Final = 2.0**20
"""Largest magnitude of a weight, a bias or a mean code; of a code's covariance, its square.
Trained networks stay below a thousand."""


def fits(values: Tensor, largest: float = LARGEST) -> bool:
    """Return whether no value is NaN or of a larger magnitude."""
    return bool((values.abs() <= largest).all())


def are_errors(values: Tensor, dim: int) -> bool:
    """Return whether all may be a mean or a deviation of squared errors of `dim` dimensions.

    Features and reconstructions lie in [0, 1], so that no error is above `dim`.
    """
    stored = values.float()
    return bool(((stored >= LEAST) & (stored <= dim)).all())
