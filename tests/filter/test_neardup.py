"""Hashes stay near under what a picture meets on its way, and far between pictures."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from sfumato.data.decoding.decode import decode_image, encode_png
from sfumato.data.sources import load
from sfumato.errors import UnavailableError
from sfumato.filter.neardup import MATCH, distances, pdq, stack


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    return load("characters", count=12, size=128, seed=3).images


def edits(picture: torch.Tensor) -> dict[str, torch.Tensor]:
    image = Image.open(io.BytesIO(encode_png(picture))).convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=40)
    changed = {
        "smaller": image.resize((70, 70), Image.Resampling.BICUBIC),
        "brighter": ImageEnhance.Brightness(image).enhance(1.15),
        "grey": image.convert("L"),
    }
    tensors = {"jpeg": decode_image(buffer.getvalue())}
    for name, edited in changed.items():
        saved = io.BytesIO()
        edited.save(saved, "PNG")
        tensors[name] = decode_image(saved.getvalue())
    return tensors


def test_copies_are_near_and_other_pictures_are_not(pictures: torch.Tensor) -> None:
    hashes = stack(pdq(picture) for picture in pictures)
    assert hashes is not None
    assert hashes.shape == (12, 32)
    for index, picture in enumerate(pictures[:4]):
        for name, edited in edits(picture).items():
            hash_ = pdq(edited)
            assert hash_ is not None
            bits = distances(hash_[None], hashes)[0]
            assert int(bits[index]) <= MATCH, name
            assert int(bits.argmin()) == index
    apart = distances(hashes, hashes)[~torch.eye(12, dtype=torch.bool)]
    assert int(apart.min()) > MATCH


@given(seed=st.integers(0, 999), n=st.integers(1, 5), m=st.integers(1, 5))
def test_distances_count_the_bits_that_differ(seed: int, n: int, m: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    a, b = (torch.randint(256, (k, 32), generator=generator, dtype=torch.uint8) for k in (n, m))
    bits = [np.unpackbits(h.numpy(), axis=1) for h in (a, b)]
    slow = (bits[0][:, None] != bits[1][None]).sum(-1)
    assert distances(a, b).tolist() == slow.tolist()


def test_a_flat_picture_has_no_hash() -> None:
    flat = torch.full((3, 64, 64), 90, dtype=torch.uint8)
    assert pdq(flat) is None
    assert stack([pdq(flat)]) is None


def test_without_the_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sfumato.extras.find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match=r"sfumato\[copies\]"):
        pdq(torch.zeros(1, 8, 8, dtype=torch.uint8))
