"""Extraction: in order, in any batches, and from the cache only where everything is the same."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sfumato.data.imageset import ImageSet
from sfumato.features.backbone import Backbone, open_backbone
from sfumato.features.cache import extract
from sfumato.features.preprocess import Preprocess


class Counting(nn.Module):
    calls = 0

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(64))

    def forward(self, x: Tensor) -> Tensor:
        Counting.calls += 1
        return x.flatten(1) @ self.weight


@pytest.fixture
def backbone(blobs: ImageSet) -> Backbone:
    rule = Preprocess(size=(8, 8), channels=1)
    return Backbone.wrap(Counting(), name="counting", preprocess=rule).fit(blobs)


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_batches_do_not_matter(backbone: Backbone, blobs: ImageSet, batch_size: int) -> None:
    features = extract(backbone, blobs, batch_size=batch_size, device="cpu")
    torch.testing.assert_close(features, backbone(blobs.images))
    assert not features.requires_grad


def test_the_cache_answers_once_it_was_filled(
    backbone: Backbone, blobs: ImageSet, tmp_path: Path
) -> None:
    first = extract(backbone, blobs, cache=tmp_path)
    calls = Counting.calls
    assert torch.equal(extract(backbone, blobs, cache=tmp_path), first)
    assert Counting.calls == calls
    fewer = blobs.subset(range(20))
    assert torch.equal(extract(backbone, fewer, cache=tmp_path), first[:20])
    assert Counting.calls > calls
    raw = extract(open_backbone("raw:1x8x8"), blobs, cache=tmp_path)
    assert torch.equal(raw, blobs.floats().flatten(1))


def test_a_damaged_entry_is_computed_anew(
    backbone: Backbone, blobs: ImageSet, tmp_path: Path
) -> None:
    first = extract(backbone, blobs, cache=tmp_path).clone()
    (entry,) = tmp_path.rglob("*.safetensors")
    whole = entry.read_bytes()
    for content in (b"", whole[:100], whole[:-1], open_backbone("raw:1x8x8").to_bytes()):
        entry.write_bytes(content)
        assert torch.equal(extract(backbone, blobs, cache=tmp_path), first)
        assert entry.read_bytes() == whole


def test_an_empty_set_has_no_features(backbone: Backbone, blobs: ImageSet) -> None:
    assert extract(backbone, blobs.subset(torch.zeros(0).long())).shape == (0, 64)


def test_kept_features_are_their_owners_alone(
    backbone: Backbone, blobs: ImageSet, tmp_path: Path
) -> None:
    extract(backbone, blobs, device="cpu", cache=tmp_path)
    (kept,) = tmp_path.rglob("*.safetensors")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
