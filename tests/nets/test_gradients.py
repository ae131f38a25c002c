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


def slowly(images: torch.Tensor) -> torch.Tensor:
    """The same by convolutions, one step after the other."""
    height, width = images.shape[2:]
    grid = (max(1, min(7, height // 2)), max(1, min(7, width // 2)))
    cell = math.sqrt((height / grid[0]) * (width / grid[1]))

    def blurred(x: torch.Tensor, sigma: float) -> torch.Tensor:
        reach = max(1, math.ceil(3 * sigma))
        offsets = torch.arange(-reach, reach + 1, dtype=x.dtype)
        kernel = torch.exp(-offsets.square() / (2 * sigma**2))
        kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, -1)
        x = torch.nn.functional.pad(x, (reach,) * 4, mode="replicate")
        x = torch.nn.functional.conv2d(x, kernel[:, :, None, :], groups=x.shape[1])
        return torch.nn.functional.conv2d(x, kernel[:, :, :, None], groups=x.shape[1])

    padded = torch.nn.functional.pad(blurred(images, 0.175 * cell), (1,) * 4, mode="replicate")
    dx = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
    dy = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
    length = (dx.square() + dy.square() + 1e-12).sqrt()
    angles = [2 * math.pi * i / 8 for i in range(8)]
    along = [(dx * math.cos(a) + dy * math.sin(a)).relu().square() / length for a in angles]
    energy = blurred(torch.cat(along, 1), 0.25 * cell)
    pooled = torch.nn.functional.adaptive_avg_pool2d(energy, grid)
    return (pooled / math.sqrt(2)).clamp_min(0).sqrt().flatten(1)


@pytest.mark.parametrize("shape", [(8, 8), (20, 28), (3, 2), (64, 64), (33, 47)])
def test_matrices_give_what_one_step_after_the_other_gives(shape: tuple[int, int]) -> None:
    images = torch.rand(2, 1, *shape, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(NET(images.double()), slowly(images.double()), atol=1e-7)
    assert torch.allclose(NET(images), slowly(images), atol=1e-6)
    alone = torch.cat([NET(one[None]) for one in images])
    assert torch.allclose(NET(images), alone, atol=1e-6)


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
