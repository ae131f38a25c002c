"""Codes drawn from the statistics that an owner sends with an enrollment."""

from __future__ import annotations

import torch

from sfumato.filter.codes import draw_codes


def test_codes_have_the_statistics_asked_for_and_are_never_negative() -> None:
    mean, root = (
        torch.full((3,), 10.0),
        torch.randn(3, 3, generator=torch.Generator().manual_seed(0)),
    )
    root[:, 2] = 0  # a covariance of rank 2
    codes = draw_codes(mean, root @ root.mT, 20_000, seed=3)
    assert torch.allclose(codes.mean(0), mean, atol=0.05)
    assert torch.allclose(codes.mT.cov(), root @ root.mT, atol=0.1)
    assert float(draw_codes(mean - 10, root @ root.mT, 500, seed=3).min()) == 0
    assert torch.equal(codes, draw_codes(mean, root @ root.mT, 20_000, seed=3))
