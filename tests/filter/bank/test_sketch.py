"""Sketches are nowhere further apart than what they were made of."""

from __future__ import annotations

import pytest
import torch

from sfumato.filter.bank.sketch import MORE, NUMBERS, SLACK, Sketch


@pytest.mark.parametrize("dim", [1, 20, 128, 2048])
@pytest.mark.parametrize("fitted", [False, True])
def test_distances_of_sketches_are_bounds(dim: int, fitted: bool) -> None:
    draw = torch.Generator().manual_seed(dim)
    points = torch.rand(200, dim, generator=draw) * torch.linspace(0.1, 1, dim)
    sketch = Sketch.fitted(points) if fitted else Sketch.plain(dim)
    made = sketch(points).double()
    assert made.shape == (200, sketch.size)
    assert sketch.short == min(NUMBERS, dim + 1)
    assert sketch.size == (sketch.short if dim < NUMBERS else NUMBERS + min(MORE, dim - 31) + 1)
    real = torch.cdist(points.double(), points.double())
    bound = torch.cdist(made[:, : sketch.short], made[:, : sketch.short])
    long = torch.cdist(*[longer(made, sketch)] * 2)
    assert bool((bound <= long + 1e-5).all())
    assert bool((long <= real * (1 + SLACK) + 1e-5).all())
    assert float(bound.sum() / real.sum()) > (0.3 if fitted else 0.02)


def longer(made: torch.Tensor, sketch: Sketch) -> torch.Tensor:
    """The longer sketch by itself: all coordinates, and what is left beside all of them."""
    if sketch.size == sketch.short:
        return made
    return torch.cat([made[:, : sketch.short - 1], made[:, sketch.short :]], 1)


@pytest.mark.parametrize("dim", [32, 50, 128])
def test_what_a_longer_sketch_adds_makes_its_product_and_its_length_is_the_short_ones(
    dim: int,
) -> None:
    points = torch.rand(100, dim, generator=torch.Generator().manual_seed(dim))
    sketch = Sketch.fitted(points)
    made = sketch(points)
    short, long = made[:, : sketch.short], longer(made, sketch)
    product = short @ short.T + made[:, sketch.short - 1 :] @ sketch.longer(made).T
    torch.testing.assert_close(product, long @ long.T, rtol=1e-4, atol=1e-5)
    for some in (short, long):
        torch.testing.assert_close(some.norm(dim=1), (points - sketch.centre).norm(dim=1))


def test_fitted_directions_say_more_of_points_that_vary_in_few() -> None:
    draw = torch.Generator().manual_seed(0)
    turned = torch.linalg.qr(torch.randn(128, 128, generator=draw))[0]
    points = torch.randn(500, 128, generator=draw) * torch.linspace(1, 0, 128) ** 2 @ turned
    real = torch.cdist(points, points).sum()
    plain, fitted = (
        float(torch.cdist(made[:, :NUMBERS], made[:, :NUMBERS]).sum() / real)
        for made in (Sketch.plain(128)(points), Sketch.fitted(points)(points))
    )
    assert fitted > 0.85
    assert plain < 0.7 * fitted


def test_points_that_overflowed_do_not_count() -> None:
    points = torch.rand(50, 40)
    points[3] = torch.nan
    points[5, 7] = torch.inf
    assert bool(Sketch.fitted(points).directions.isfinite().all())
    assert torch.equal(Sketch.fitted(points[3:4]).directions, Sketch.plain(40).directions)
