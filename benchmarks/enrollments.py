"""Enrollments with random weights: as fast or slow to score as any other."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato.filter.enrollment import Enrollment

HIDDEN = 32


def random_enrollment(dim: int, backbone: str) -> Enrollment:
    """Return an enrollment with random weights for features of `dim` numbers."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        values: Tensor = torch.randn(shape, generator=generator) / dim**0.5
        return values

    return Enrollment(
        encoder=draw(HIDDEN, dim),
        encoder_bias=draw(HIDDEN),
        decoder=draw(dim, HIDDEN),
        decoder_bias=draw(dim),
        code_mean=draw(HIDDEN),
        code_covariance=torch.eye(HIDDEN),
        mu=1.0,
        sigma=0.1,
        calibration="held-out",
        count=100,
        backbone=backbone,
    )
