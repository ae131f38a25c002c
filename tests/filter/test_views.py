"""A copy that was turned, mirrored or framed is near to one of an upload's views."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from sfumato.data.sources import load
from sfumato.filter.neardup import MATCH, available, distances, pdq
from sfumato.filter.views import unframed, view_hashes

pytestmark = pytest.mark.skipif(not available(), reason="pdqhash is not installed")


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    """Drawn characters on a background of noise: no side of theirs is of one colour."""
    drawn = load("characters", count=8, size=300, seed=5).images
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 60, drawn.shape, generator=generator, dtype=torch.uint8)
    return (drawn // 2 + noise).to(torch.uint8)


def nearest(upload: torch.Tensor, enrolled: torch.Tensor) -> int:
    own = pdq(enrolled)
    assert own is not None
    return int(distances(view_hashes(upload), own[None]).min())


@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_turned_and_mirrored_copies_are_as_near_as_the_picture_itself(
    pictures: torch.Tensor, quarters: int, mirrored: bool
) -> None:
    for picture in pictures:
        turned = picture.rot90(quarters, (1, 2))
        turned = (turned.flip(2) if mirrored else turned).contiguous()
        assert nearest(turned, picture) <= 4


@pytest.mark.parametrize("colour", ["white", "black", "#808080"])
@pytest.mark.parametrize("border", [(30, 30, 30, 30), (0, 120, 0, 120), (90, 0, 10, 0)])
def test_what_is_inside_a_frame_or_a_letterbox_is_found(
    pictures: torch.Tensor, colour: str, border: tuple[int, int, int, int]
) -> None:
    for picture in pictures[:3]:
        framed = surrounded(picture, border, colour)
        assert nearest(framed, picture) <= MATCH
        assert nearest(framed.flip(2), picture) <= MATCH


def test_below_a_bar_with_marks_on_it_the_picture_is_found(pictures: torch.Tensor) -> None:
    for picture in pictures[:3]:
        screen = image_of(surrounded(picture, (0, 140, 0, 140), "black"))
        draw = ImageDraw.Draw(screen)
        draw.rectangle((0, 0, screen.width, 25), fill="#f2f2f2")
        draw.text((6, 6), "12:34", fill="black")
        assert nearest(pixels_of(screen), picture) <= MATCH


def test_nothing_is_cut_off_a_picture_without_borders(pictures: torch.Tensor) -> None:
    assert list(unframed(pictures[0])) == []
    assert len(view_hashes(pictures[0])) == 8
    flat = torch.full((3, 50, 50), 90, dtype=torch.uint8)
    assert list(unframed(flat)) == []
    assert len(view_hashes(flat)) == 0
    assert len(view_hashes(torch.zeros(1, 1, 1, dtype=torch.uint8))) == 0


def test_other_pictures_are_far_in_every_view(pictures: torch.Tensor) -> None:
    for i, upload in enumerate(pictures):
        for j, enrolled in enumerate(pictures):
            if i != j:
                assert nearest(upload, enrolled) > MATCH


def test_the_first_view_is_the_pictures_own_hash(pictures: torch.Tensor) -> None:
    grey = pictures[0][:1].clone()
    own = pdq(grey)
    assert own is not None
    assert torch.equal(view_hashes(grey)[0], own)


def surrounded(
    picture: torch.Tensor, border: tuple[int, int, int, int], colour: str
) -> torch.Tensor:
    """Put a picture on a plain sheet; left, top, right and bottom are in pixels."""
    left, top, right, bottom = border
    height, width = picture.shape[1:]
    sheet = Image.new("RGB", (width + left + right, height + top + bottom), colour)
    sheet.paste(image_of(picture), (left, top))
    return pixels_of(sheet)


def image_of(picture: torch.Tensor) -> Image.Image:
    return Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy())


def pixels_of(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)
