"""What a release takes on disk, by hand."""

from __future__ import annotations

import pytest
import torch

from sfumato.audit.measure.cost import stored_bytes
from sfumato.data.decoding.decode import encode_png
from sfumato.features.backbone import open_backbone
from sfumato.protect.baselines import Unprotected
from sfumato.protect.encrypted import EncryptedFeatures


@pytest.mark.parametrize(
    ("shape", "dtype", "size"),
    [((5, 7), torch.float32, 28), ((5, 2, 3), torch.int8, 6), ((1, 9), torch.float64, 72)],
)
def test_numbers_take_their_width_each(
    shape: tuple[int, ...], dtype: torch.dtype, size: int
) -> None:
    assert stored_bytes(torch.zeros(shape, dtype=dtype), Unprotected()) == size


def test_what_a_protector_adds_is_counted() -> None:
    sealed = EncryptedFeatures(open_backbone("raw:1x2x2"), "sealed")
    release = sealed.release(torch.rand(3, 1, 2, 2))
    assert sealed.overhead_bytes > 0
    assert stored_bytes(release, sealed) == release[0].nbytes + sealed.overhead_bytes


def test_pictures_take_what_their_png_takes() -> None:
    flat, noisy = torch.zeros(1, 16, 16), torch.rand(1, 16, 16)
    sizes = [len(encode_png((255 * picture).round().to(torch.uint8))) for picture in (flat, noisy)]
    assert stored_bytes(torch.stack([flat, noisy]), Unprotected()) == sum(sizes) / 2
