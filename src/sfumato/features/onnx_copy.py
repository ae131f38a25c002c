"""A backbone whose network is an ONNX graph, which onnxruntime runs faster than torch does."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from sfumato.errors import ConfigError
from sfumato.features.backbone import Backbone
from sfumato.features.onnx_net import read_onnx
from sfumato.nets.onnxfile import write_onnx


def onnx_copy(backbone: Backbone) -> Backbone:
    """Return the backbone with its network as a graph; it has a fingerprint of its own.

    Features differ in their last digits. So the provider chooses before anybody enrolls: devices
    and service then compute the same graph, and thresholds are those of its features.

    Raises:
        ConfigError: the backbone has no network that could be faster (`raw`, `gradients`), or is a
            graph already.
        UnavailableError: the extra `onnx` is not installed.
    """
    if backbone.kind not in ("timm", "module"):
        raise ConfigError(f"an ONNX graph is made of a network, not of {backbone.name}")
    example = torch.rand(2, backbone.preprocess.channels, *backbone.preprocess.size)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        write_onnx(backbone.net, {"images": example}, "features", path)
        net = read_onnx(path)
    return Backbone(
        net,
        name=f"onnx:{backbone.name.removeprefix('timm:')}",
        kind="onnx",
        architecture="",
        preprocess=backbone.preprocess,
        projection=backbone.projection,
        scaler=backbone.scaler,
    )
