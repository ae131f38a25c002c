"""The projection: orthonormal, repeatable, and it keeps what varies."""

from __future__ import annotations

import pytest
import torch

from sfumato.errors import ConfigError
from sfumato.features.projection import fit_projection


def low_rank(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    basis = torch.randn(3, 20, generator=generator)
    return torch.randn(80, 3, generator=generator) @ basis + 1.0


def test_features_of_low_rank_come_back_whole() -> None:
    x = low_rank(0)
    projection = fit_projection(x, 3, seed=0)
    torch.testing.assert_close(
        projection.components @ projection.components.T, torch.eye(3), atol=1e-5, rtol=0
    )
    back = projection(x) @ projection.components + projection.mean
    torch.testing.assert_close(back, x, atol=1e-4, rtol=1e-4)


def test_the_same_seed_gives_the_same_projection() -> None:
    first, again = (fit_projection(low_rank(1), 2, seed=4) for _ in range(2))
    assert torch.equal(first.components, again.components)


@pytest.mark.parametrize("dims", [0, 21, 100])
def test_impossible_numbers_of_dimensions_are_refused(dims: int) -> None:
    with pytest.raises(ConfigError, match="1 to 20"):
        fit_projection(low_rank(2), dims, seed=0)
