"""Views of pictures: what they show, and that a seed repeats them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sfumato.features.augmentation import Augmentation
from sfumato.features.backbone import open_backbone
from sfumato.features.picture import feature_of
from sfumato.features.views import ViewDraws, draw_maps, stacked_views, warped

STILL = Augmentation(rotation=0.0, zoom=0.0, move=0.0, most=3)


def picture(seed: int = 0, shape: tuple[int, int, int] = (1, 28, 28)) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("spec", ["raw:1x28x28", "gradients:1x20x28"])
def test_views_that_do_not_stray_are_the_picture(spec: str) -> None:
    backbone = open_backbone(spec)
    found = ViewDraws(backbone, STILL, 2, seed=0).of(picture())
    assert found is not None
    assert torch.allclose(found, feature_of(backbone, picture()).expand(3, -1), atol=1e-4)


def test_a_turn_by_a_quarter_is_one_of_the_picture_also_where_it_is_not_square() -> None:
    tall = torch.zeros(1, 1, 9, 5)
    tall[0, 0, 2, 2] = 1.0  # two above the middle
    maps = torch.tensor([[[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]]])
    turned = warped(tall, maps)[0, 0]
    assert {tuple(at) for at in (turned > 0.5).nonzero().tolist()} in ({(4, 0)}, {(4, 4)})


def test_a_move_is_a_share_of_the_side_and_the_edge_goes_on() -> None:
    ramp = torch.arange(10.0).expand(1, 1, 10, 10)
    moved = warped(ramp, torch.tensor([[[1.0, 0.0, 0.4], [0.0, 1.0, 0.0]]]))[0, 0, 0]
    assert torch.allclose(moved, torch.tensor([2.0, 3, 4, 5, 6, 7, 8, 9, 9, 9]), atol=1e-4)


def test_maps_stay_within_their_ranges() -> None:
    default = Augmentation()
    generator = torch.Generator().manual_seed(1)
    maps = draw_maps(4000, default, generator, reach=0.5).double()
    scale = maps[:, 0, :2].norm(dim=1).log().abs() / torch.tensor(1 + default.zoom).log()
    angle = torch.rad2deg(torch.atan2(maps[:, 1, 0], maps[:, 0, 0])).abs() / default.rotation
    move = maps[:, :, 2].abs().amax(1) / (2 * default.move)
    for share in (scale, angle, move):
        assert 0.49 < float(share.max()) <= 0.5 + 1e-5


def test_a_seed_repeats_the_views_and_another_draws_others() -> None:
    backbone, far = open_backbone("raw:1x28x28"), replace(STILL, rotation=30.0)

    def drawn(seed: int) -> Tensor:
        draws = ViewDraws(backbone, far, 2, seed=seed)
        found = stacked_views([draws.of(picture(i)) for i in range(2)])
        assert found is not None
        return found

    assert drawn(5).shape == (2, 3, 784)
    assert torch.equal(drawn(5), drawn(5))
    assert not torch.equal(drawn(5), drawn(6))


def test_without_an_augmentation_there_are_no_views() -> None:
    draws = ViewDraws(open_backbone("raw:1x28x28"), None, 2, seed=0)
    assert stacked_views([draws.of(picture())]) is None
