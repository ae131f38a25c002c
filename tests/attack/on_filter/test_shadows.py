"""Shadow enrollments: what an adversary knows of their codes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sfumato.attack.on_filter.shadows import Pool, enroll_shadows
from sfumato.filter.oneclass import OneClass

POOL = Pool(features=torch.rand(20, 6, generator=torch.Generator().manual_seed(0)))


def untrained(features: Sequence[Tensor]) -> OneClass:
    return OneClass(len(features), 6, 3, seed=0)


def dead(features: Sequence[Tensor]) -> OneClass:
    """Networks whose codes are 0 for every picture: nothing was learned."""
    net = untrained(features)
    torch.nn.init.constant_(net.encoder, -1.0)
    return net


def test_codes_have_their_mean_and_the_inverse_of_their_covariance() -> None:
    found = enroll_shadows(POOL, untrained, 4, seed=0)
    for k in range(4):
        seen = POOL.features[found.member[k]]
        codes = (seen @ found.net.encoder[k].T + found.net.encoder_bias[k]).relu().double()
        assert torch.allclose(found.code_mean[k].double(), codes.mean(0), atol=1e-6)
        away = codes - codes.mean(0)
        covariance = away.T @ away / (len(codes) - 1)
        ridge = 1e-3 * covariance.trace() / 3
        whole = found.code_precision[k].double() @ (covariance + ridge * torch.eye(3))
        assert torch.allclose(whole, torch.eye(3).double(), atol=1e-3)


def test_codes_that_never_vary_have_a_precision_all_the_same() -> None:
    found = enroll_shadows(POOL, dead, 4, seed=0)
    assert not found.code_mean.any()
    assert found.code_precision.isfinite().all()
    assert (found.code_precision.diagonal(dim1=1, dim2=2) > 1e6).all()
