"""Oriented gradients: bounded, blind to brightness, and right about directions."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.features.backbone import Backbone, open_backbone
from sfumato.nets.gradients import OrientedGradients

NET = OrientedGradients()


@given(height=st.integers(2, 40), width=st.integers(2, 40), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_values_lie_in_the_unit_interval_and_have_the_stated_shape(
    height: int, width: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 2, (3, 1, height, width), generator=generator).float()
    features = NET(images)
    assert features.shape == (3, 8 * min(7, height // 2) * min(7, width // 2))
    assert 0 <= float(features.min()) <= float(features.max()) <= 1


def test_a_picture_without_edges_gives_zeros_and_brightness_does_not_matter() -> None:
    assert float(NET(torch.full((1, 1, 28, 28), 0.7)).max()) < 1e-3
    images = torch.rand(2, 1, 28, 28) / 2
    assert torch.allclose(NET(images), NET(images + 0.4), atol=1e-3)


@pytest.mark.parametrize("turn", range(4))
def test_a_ramp_is_strongest_in_its_own_direction(turn: int) -> None:
    ramp = torch.linspace(0, 1, 28).expand(1, 1, 28, 28)
    features = NET(torch.rot90(ramp, -turn, (2, 3))).view(8, 7, 7)
    assert int(features[:, 3, 3].argmax()) == 2 * turn
    neighbour = float(features[(2 * turn + 1) % 8, 3, 3] / features[2 * turn, 3, 3])
    assert neighbour == pytest.approx(math.cos(math.pi / 4), abs=1e-3)


def test_a_moved_stroke_changes_gradients_less_than_pixels() -> None:
    stroke = torch.zeros(1, 1, 28, 28)
    stroke[:, :, 6:22, 13:16] = 1
    moved = stroke.roll(1, 3)

    def change(one: torch.Tensor, other: torch.Tensor) -> float:
        return float((one - other).norm() / one.norm())

    assert change(NET(stroke), NET(moved)) < 0.7 * change(stroke, moved)


def test_as_a_backbone_it_needs_no_public_images_and_survives_storage() -> None:
    backbone = open_backbone("gradients:1x8x8")
    images = torch.randint(0, 256, (4, 3, 8, 8)).to(torch.uint8)
    again = Backbone.from_bytes(backbone.to_bytes())
    assert backbone.dim == 128
    assert again.fingerprint == backbone.fingerprint != open_backbone("raw:1x8x8").fingerprint
    assert torch.equal(again(images), backbone(images))
