"""The scaler: into [0, 1] for whatever comes, and robust against one odd picture."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import DataError
from sfumato.features.scaler import Scaler, fit_scaler


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(2, 60),
    dim=st.integers(1, 20),
    scale=st.floats(1e-6, 1e6),
    seed=st.integers(0, 1000),
)
def test_any_feature_lands_in_the_unit_interval(
    count: int, dim: int, scale: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    public = torch.randn(count, dim, generator=generator) * scale
    scaler = fit_scaler(public)
    assert bool((scaler.high > scaler.low).all())
    for x in (public, torch.randn(5, dim, generator=generator) * scale * 100):
        scaled = scaler(x)
        assert 0 <= float(scaled.min()) <= float(scaled.max()) <= 1


def test_public_features_fill_the_interval_and_keep_their_order() -> None:
    public = torch.linspace(-3, 5, 2001)[:, None].repeat(1, 2)
    scaled = fit_scaler(public)(public)
    assert bool((scaled.diff(dim=0) >= 0).all())
    assert float((scaled == 0).float().mean()) == pytest.approx(0.005, abs=0.001)
    assert float((scaled == 1).float().mean()) == pytest.approx(0.005, abs=0.001)
    middle = scaled[100:-100]
    torch.testing.assert_close(middle.diff(dim=0), middle[1:2].sub(middle[:1]).expand(1800, 2))


def test_one_odd_picture_does_not_change_the_range() -> None:
    public = torch.randn(2000, 4, generator=torch.Generator().manual_seed(0))
    odd = torch.cat([public, torch.full((1, 4), 1e6)])
    assert float((fit_scaler(public).high - fit_scaler(odd).high).abs().max()) < 0.1


def test_a_dimension_that_public_images_leave_constant_stays_quiet() -> None:
    public = torch.rand(500, 3, generator=torch.Generator().manual_seed(0))
    public[:, 1] = 0.25
    scaler = fit_scaler(public)
    x = torch.full((1, 3), 0.25)
    assert float(scaler(x)[0, 1]) == pytest.approx(0.5, abs=1e-4)
    assert float(scaler(x + 1e-4)[0, 1]) == pytest.approx(0.51, abs=2e-3)


def test_features_that_tell_nothing_are_refused() -> None:
    with pytest.raises(DataError, match="same features"):
        fit_scaler(torch.ones(10, 3))
    with pytest.raises(DataError, match="at least 2"):
        fit_scaler(torch.ones(1, 3))
    with pytest.raises(DataError, match="finite"):
        fit_scaler(torch.tensor([[0.0], [float("nan")]]))


def test_the_identity_only_clamps() -> None:
    x = torch.tensor([[-1.0, 0.25, 2.0]])
    assert Scaler.identity(3)(x).tolist() == [[0.0, 0.25, 1.0]]
