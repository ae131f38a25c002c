"""What an album of pictures is compared by."""

from __future__ import annotations

import pytest
import torch
from torchvision.transforms.functional import rgb_to_grayscale

from sfumato.attack.album import levelled


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
