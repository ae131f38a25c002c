from __future__ import annotations

import pytest
import torch

from sfumato.errors import ConfigError
from sfumato.protect.augment import random_view
from sfumato.protect.deformation import FACE_AUGMENTATION, Deformation

_STILL = {"rotate": 0.0, "zoom": 0.0, "shear": 0.0, "move": 0.0}


def test_views_keep_the_shape_stay_pictures_and_pass_gradients() -> None:
    x = torch.rand(4, 1, 20, 24, requires_grad=True)
    seen = random_view(x, FACE_AUGMENTATION)
    seen.sum().backward()
    assert seen.shape == x.shape
    assert bool(((seen >= 0) & (seen <= 1)).all())
    assert x.grad is not None
    assert float(x.grad.abs().sum()) > 0
    assert not torch.equal(seen, random_view(x, FACE_AUGMENTATION))


def test_a_mirror_is_the_picture_flipped() -> None:
    x = torch.rand(3, 3, 8, 10)
    seen = random_view(x, Deformation(**_STILL, mirror=1.0))
    torch.testing.assert_close(seen, x.flip(3), atol=1e-5, rtol=0)


def test_blur_takes_the_fine_and_keeps_the_coarse() -> None:
    x = (torch.arange(16) % 2).float().expand(1, 1, 16, 16)
    seen = random_view(x, Deformation(**_STILL, blur=1.0))
    assert float(seen.std()) < float(x.std())
    torch.testing.assert_close(seen.mean(), x.mean(), atol=0.1, rtol=0)


def test_noise_is_as_strong_as_asked() -> None:
    x = torch.full((1, 1, 64, 64), 0.5)
    seen = random_view(x, Deformation(**_STILL, noise=0.05))
    assert 0.045 < float((seen - x).std()) < 0.055


def test_nearer_shows_the_middle_larger() -> None:
    torch.manual_seed(0)
    x = torch.zeros(200, 1, 32, 32)
    x[:, :, 12:20, 12:20] = 1.0  # a sixteenth of the picture
    seen = random_view(x, Deformation(**_STILL, near=0.5)).mean((1, 2, 3))
    assert float(seen.min()) > 0.9 / 16
    assert 3 / 16 < float(seen.max()) < 4.5 / 16


def test_a_cover_is_one_grey_rectangle_of_up_to_half_a_side() -> None:
    torch.manual_seed(0)
    x = torch.rand(200, 3, 32, 24) * 0.4
    covered = random_view(x, Deformation(**_STILL, cover=0.5))[:, 0] == 0.5
    rows, columns = covered.any(2), covered.any(1)
    torch.testing.assert_close(covered, rows[:, :, None] & columns[:, None])
    assert int(rows.sum(1).max()) in (15, 16)
    assert int(columns.sum(1).max()) in (11, 12)
    assert 70 < int(rows.any(1).sum()) < 130


@pytest.mark.parametrize(
    "wrong",
    [
        {"mirror": 1.5},
        {"blur": -0.1},
        {"noise": -1.0},
        {"zoom": 1.0},
        {"near": 1.0},
        {"cover": 2.0},
    ],
)
def test_impossible_strengths_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="must be at least 0"):
        Deformation(**wrong)
