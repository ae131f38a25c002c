from __future__ import annotations

import pytest
import torch

from sfumato.nets.biggan import Discriminator, Generator, MapGenerator, blocks_for


@pytest.mark.parametrize(
    ("size", "blocks"),
    [
        ((20, 20), 2),
        ((28, 28), 2),
        ((50, 50), 3),
        ((64, 64), 4),
        ((256, 256), 5),
        ((384, 128), 5),
        ((8, 8), 1),
        ((33, 21), 2),
    ],
)
def test_any_size_and_aspect_ratio(size: tuple[int, int], blocks: int) -> None:
    assert blocks_for(size) == blocks
    features = torch.randn(2, 24)
    with torch.no_grad():
        images = Generator(24, 3, size, width=4)(features)
    assert images.shape == (2, 3, *size)
    assert 0 <= float(images.min()) <= float(images.max()) <= 1
    assert Discriminator(24, 3, size, width=4)(images, features).shape == (2,)


@pytest.mark.parametrize("given", [(8, 8), (32, 32), (16, 16), (7, 5)])
def test_maps_become_pictures(given: tuple[int, int]) -> None:
    net = MapGenerator(6, given, 3, (32, 32), width=4)
    assert net(torch.randn(2, 6, *given)).shape == (2, 3, 32, 32)


def test_the_papers_network_has_five_blocks_and_reads_every_feature() -> None:
    net = Generator(16, 3, (384, 128), width=8).eval()  # two channels may all be dead
    features = torch.randn(1, 16, requires_grad=True)
    net(features).sum().backward()
    assert features.grad is not None
    assert bool((features.grad != 0).all())
    assert sum(type(part).__name__ == "UpBlock" for part in net.blocks) == 5
