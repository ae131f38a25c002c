from __future__ import annotations

import pytest
import torch

from sfumato.errors import DataError
from sfumato.photo.blend import SIDE, Region, faces_cut, protect_faces
from sfumato.photo.find.box import Face
from sfumato.protect.baselines import Noise, Pixelate, Unprotected
from sfumato.protect.san.model import SemiAdversarial
from sfumato.types import Protector

FACE = Face(left=40, top=30, right=70, bottom=70)
SECRET = bytes(32)


def noisy(channels: int = 3) -> torch.Tensor:
    return torch.randint(0, 256, (channels, 120, 150), dtype=torch.uint8)


def test_the_whole_face_changes_and_the_rest_stays() -> None:
    picture = noisy()
    out = protect_faces(Pixelate(56), picture, [FACE], grow=0.3, secret=SECRET)
    inside = out[:, 30:70, 40:70]
    assert inside.float().std() < 0.25 * picture[:, 30:70, 40:70].float().std()
    region = Region.around(FACE, 0.3)
    mask = torch.zeros(120, 150, dtype=torch.bool)
    mask[region.top : region.top + region.side, region.left : region.left + region.side] = True
    assert torch.equal(out[:, ~mask], picture[:, ~mask])
    assert not torch.equal(picture, out)


def test_the_mask_is_whole_over_the_box() -> None:
    region = Region.around(FACE, 0.3)
    box = region.mask()[30 - region.top : 70 - region.top, 40 - region.left : 70 - region.left]
    assert float(box.min()) == 1.0
    assert float(region.mask()[0, 0]) == 0.0


@pytest.mark.parametrize(
    "face",
    [
        Face(left=-20, top=-10, right=20, bottom=30),
        Face(left=130, top=100, right=170, bottom=150),
        Face(left=-50, top=-50, right=-20, bottom=-20),
        Face(left=3, top=3, right=4, bottom=4),
        Face(left=-100, top=-100, right=300, bottom=300),
    ],
)
def test_faces_that_the_picture_cuts_are_protected_too(face: Face) -> None:
    picture = noisy()
    out = protect_faces(Pixelate(112), picture, [face], grow=0.3, secret=SECRET)
    assert out.shape == picture.shape
    assert torch.equal(out, picture) == (face.right < -10)


def test_a_protector_is_as_strong_on_a_small_face_as_on_a_large_one() -> None:
    small = faces_cut(Unprotected(), noisy(), [FACE], 0.3)
    large = faces_cut(Unprotected(), noisy(), [FACE.scaled(1.7)], 0.3)
    assert small.shape == large.shape == (1, 3, SIDE, SIDE)


def test_no_face_no_change() -> None:
    picture = noisy(1)
    assert torch.equal(protect_faces(Pixelate(8), picture, [], grow=0.3, secret=SECRET), picture)


def test_noise_follows_from_the_secret_and_the_face() -> None:
    picture = noisy()
    one, same = (protect_faces(Noise(0.3), picture, [FACE], grow=0, secret=SECRET) for _ in "12")
    other = protect_faces(Noise(0.3), picture, [FACE], grow=0, secret=b"\1" * 32)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


class Brighter(SemiAdversarial):
    def release(self, images: torch.Tensor) -> torch.Tensor:
        return images + 0.2


def test_a_semi_adversarial_network_changes_brightness_and_leaves_colours() -> None:
    picture = torch.zeros(3, 120, 150, dtype=torch.uint8)
    picture[0] = 120  # red
    net = Brighter(height=32, width=32)
    red, green, blue = protect_faces(net, picture, [FACE], grow=0.3, secret=SECRET)[:, 50, 55]
    assert (int(red), int(green), int(blue)) == (171, 51, 51)


def test_what_gives_no_picture_is_refused() -> None:
    class Numbers(Protector):
        name = "numbers"

        def release(self, images: torch.Tensor) -> torch.Tensor:
            return images.flatten(1)

    with pytest.raises(DataError, match="numbers releases"):
        protect_faces(Numbers(), noisy(), [FACE], grow=0.3, secret=SECRET)


def test_noise_of_one_face_is_not_averaged_away_over_frames() -> None:
    steady = torch.full((3, 120, 150), 128.0)
    frames = [(steady + torch.randn(steady.shape)).clamp(0, 255).round().byte() for _ in range(30)]

    def left(whose: list[str] | None) -> float:
        total = sum(
            protect_faces(Noise(0.3), one, [FACE], grow=0.3, secret=SECRET, whose=whose).float()
            for one in frames
        )
        face = slice(None), slice(35, 65), slice(45, 65)
        return float((total / len(frames) - steady)[face].std())

    assert left(["anna"]) > 2 * left(None)
