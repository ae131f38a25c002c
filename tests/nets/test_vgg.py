from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models import vgg16_bn

from sfumato.errors import ConfigError
from sfumato.nets.cuts import PAPER_CUT
from sfumato.nets.vgg import PLAN, Back, check_cut, front, map_shape, xavier


@pytest.mark.parametrize("cut", [1, PAPER_CUT, 7, 17])
def test_both_parts_together_are_torchvisions_vgg16(cut: int) -> None:
    whole = vgg16_bn(weights=None, num_classes=10).features.eval()
    first = front(3, cut, 1.0).eval()
    rest = Back(map_shape((32, 32), cut, 1.0)[0], 10, cut, 1.0).eval()
    layers = [*first, *rest.layers]
    assert len(layers) == len(whole)
    for mine, theirs in zip(layers, whole, strict=True):
        assert type(mine) is type(theirs)
        mine.load_state_dict(theirs.state_dict())
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(rest.layers(first(images)), whole(images))
        expected = rest.head(whole(images).mean((2, 3)))
        torch.testing.assert_close(rest(first(images)), expected)


@pytest.mark.parametrize("size", [(32, 32), (64, 48)])
@pytest.mark.parametrize("cut", range(1, len(PLAN)))
def test_the_map_has_the_announced_shape(cut: int, size: tuple[int, int]) -> None:
    maps = front(1, cut, 0.07).eval()(torch.rand(1, 1, *size))
    assert tuple(maps.shape[1:]) == map_shape(size, cut, 0.07)


@pytest.mark.parametrize("cut", range(1, len(PLAN)))
def test_a_narrowed_map_is_classified_at_every_cut(cut: int) -> None:
    _, *side = map_shape((32, 32), cut, 0.07)
    assert Back(5, 10, cut, 0.07).eval()(torch.rand(2, 5, *side)).shape == (2, 10)


def test_the_papers_map_is_8x8x128() -> None:
    assert map_shape((32, 32), PAPER_CUT, 1.0) == (128, 8, 8)


@pytest.mark.parametrize(("cut", "size"), [(0, (32, 32)), (18, (32, 32)), (6, (28, 28))])
def test_what_cannot_be_cut_is_refused(cut: int, size: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match=r"`cut` must be|at least 32x32"):
        check_cut(cut, size)


def test_xavier_draws_within_glorots_bound() -> None:
    net = nn.Sequential(nn.Conv2d(8, 16, 3), nn.Linear(40, 10))
    xavier(net)
    bounds = [(6 / ((8 + 16) * 9)) ** 0.5, (6 / 50) ** 0.5]
    for layer, bound in zip(net, bounds, strict=True):
        assert 0.8 * bound < float(layer.weight.detach().abs().max()) <= bound
        assert not layer.bias.any()
