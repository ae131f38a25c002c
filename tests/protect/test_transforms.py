"""A protector among torchvision's transforms does what it does by itself."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from sfumato.features.backbone import open_backbone
from sfumato.protect import Pixelate
from sfumato.protect.encrypted import Features
from sfumato.protect.transforms import Protect

PIXELS = torch.arange(3 * 64).view(3, 8, 8).to(torch.uint8)
WANTED = Pixelate(4).release(PIXELS[None].float() / 255)[0]


@pytest.mark.parametrize(
    "picture",
    [
        PIXELS,
        PIXELS.float() / 255,
        tv_tensors.Image(PIXELS),
        Image.fromarray(PIXELS.permute(1, 2, 0).numpy()),
        PIXELS[None],
    ],
    ids=["tensor", "floats", "image", "pil", "batch"],
)
def test_every_kind_of_picture_is_taken(picture: object) -> None:
    found = Protect(Pixelate(4))(picture)
    assert isinstance(found, tv_tensors.Image)
    assert found.dtype == torch.float32
    assert torch.allclose(found.reshape(3, 8, 8).as_subclass(Tensor), WANTED)


def test_what_is_no_picture_passes_through() -> None:
    mask = tv_tensors.Mask(torch.ones(8, 8, dtype=torch.uint8))
    box = tv_tensors.BoundingBoxes([[0, 0, 4, 4]], format="XYXY", canvas_size=(8, 8))  # type: ignore[call-overload]
    sample = {"image": tv_tensors.Image(PIXELS), "mask": mask, "box": box, "label": 3}
    found = Protect(Pixelate(4))(sample)
    assert torch.allclose(found["image"].as_subclass(Tensor), WANTED)
    assert torch.equal(found["mask"], mask)
    assert torch.equal(found["box"], box)
    assert found["label"] == 3


def test_a_release_that_is_no_picture_is_a_plain_tensor() -> None:
    backbone = open_backbone("raw:3x8x8")
    found = Protect(Features(backbone))(PIXELS)
    assert type(found) is Tensor
    assert found.shape == (192,)


class Pictures(Dataset[tuple[Tensor, int]]):
    def __init__(self) -> None:
        self.step = v2.Compose(
            [v2.Resize((4, 4)), Protect(Pixelate(2)), v2.Normalize([0.5] * 3, [0.5] * 3)]
        )

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.step(tv_tensors.Image(PIXELS)), index


@pytest.mark.parametrize("workers", [0, 2])
def test_it_works_in_a_compose_and_a_loader(workers: int) -> None:
    loader = DataLoader(Pictures(), batch_size=3, num_workers=workers)
    batches = list(loader)
    assert [labels.tolist() for _, labels in batches] == [[0, 1, 2], [3, 4, 5]]
    assert batches[0][0].shape == (3, 3, 4, 4)
    assert "pixelate:4" in repr(Protect(Pixelate(4)))
