"""What public features say of others' bits."""

from __future__ import annotations

import pytest
import torch

from sfumato.attack.on_cipher.bitmodel import evidence, fit_bit_model


@pytest.mark.parametrize("value", [0.25, -3.0])
def test_features_that_never_change_are_told_from_others(value: float) -> None:
    model = fit_bit_model(torch.full((5, 3), value))
    assert bool((model.scale > 0).all())
    own, other = evidence(model, torch.full((3,), value)), evidence(model, torch.rand(3) + 1)
    assert bool(torch.stack([own, other]).isfinite().all())
    assert float(own) > float(other)
