"""What an album of pictures is compared by."""

from __future__ import annotations

import pytest
import torch
from torchvision.transforms.functional import rgb_to_grayscale

from sfumato.attack.album import Album, levelled


@pytest.mark.parametrize("channels", [1, 3])
def test_levelled_pictures_are_grey_and_of_one_light_and_contrast(channels: int) -> None:
    pictures = torch.rand(4, channels, 6, 5, generator=torch.Generator().manual_seed(0))
    grey = rgb_to_grayscale(pictures) if channels == 3 else pictures
    found = levelled(pictures)
    assert found.shape == (4, 1, 6, 5)
    assert torch.allclose(found.mean((1, 2, 3)), torch.full((4,), 0.5), atol=1e-5)
    assert torch.allclose(found.flatten(1).std(1), torch.full((4,), 0.2), atol=1e-5)
    assert torch.allclose(levelled(0.3 * grey + 0.4), found, atol=1e-4)
    flat = levelled(torch.full((1, channels, 6, 5), 0.7))
    assert torch.allclose(flat, torch.full_like(flat, 0.5), atol=1e-4)


def test_the_nearest_is_that_of_a_slow_search_and_never_flat() -> None:
    generator = torch.Generator().manual_seed(0)
    originals = torch.rand(7, 1, 12, 12, generator=generator)
    originals[3] = 0.5  # near to many, and nobody's picture
    pictures = torch.rand(9, 1, 12, 12, generator=generator)
    pictures[:3] = originals[4:] + 0.001
    pictures[5] = 0.5
    found = Album(originals).nearest(pictures)
    assert torch.allclose(found.pixels, _slowly(pictures, originals[[0, 1, 2, 4, 5, 6]]), atol=1e-6)
    assert found.equal.tolist() == [True] * 3 + [False] * 6
    rows = torch.tensor([0, 2, 3, 6])
    among = Album(originals).among(rows)
    for at, row in enumerate((0, 2, 6)):
        others = originals[[other for other in (0, 1, 2, 4, 5, 6) if other != row]]
        assert among.pixels[at] == pytest.approx(float(_slowly(originals[row, None], others)))
    assert len(among.pixels) == 3


def _slowly(pictures: torch.Tensor, originals: torch.Tensor) -> torch.Tensor:
    """Root mean squares of the differences to each original, and the least of them."""
    return torch.stack(
        [torch.stack([(p - o).square().mean().sqrt() for o in originals]).min() for p in pictures]
    )
