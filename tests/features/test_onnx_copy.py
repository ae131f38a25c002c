"""A backbone's ONNX copy computes what the network does."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from sfumato.data.imageset import ImageSet
from sfumato.errors import ConfigError
from sfumato.features.backbone import Backbone, open_backbone

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
from sfumato.features.onnx_copy import onnx_copy


@pytest.mark.slow
@pytest.mark.parametrize("dims", [None, 8])
def test_the_copy_computes_what_the_network_does(
    blobs: ImageSet, tmp_path: Path, dims: int | None
) -> None:
    torch.manual_seed(0)
    path = tmp_path / "resnet18.safetensors"
    save_file(timm.create_model("resnet18", pretrained=False).state_dict(), path)
    backbone = open_backbone(
        "timm:resnet18",
        weights=path,
        public=blobs.subset(range(20)),
        dims=dims,
        preprocess={"size": (32, 32)},
    )
    copy = onnx_copy(backbone)
    assert (copy.kind, copy.dim) == ("onnx", backbone.dim)
    assert copy.fingerprint != backbone.fingerprint
    for count in (1, 5):  # the batch stays open
        pictures = blobs.images[30 : 30 + count]
        torch.testing.assert_close(copy(pictures), backbone(pictures), rtol=0, atol=1e-4)
    again = Backbone.from_bytes(copy.to_bytes())
    assert again.fingerprint == copy.fingerprint
    assert torch.equal(again(blobs.images[:3]), copy(blobs.images[:3]))


def test_there_is_nothing_to_copy_without_a_network() -> None:
    with pytest.raises(ConfigError, match="not of gradients:1x8x8"):
        onnx_copy(open_backbone("gradients:1x8x8"))
