"""The 128-D face network of dlib, read from the weights that face-api publishes, as a torch net.

For the evaluation of three papers only: the library reads dlib's own file, these are the same
weights with less precision. The file is raw little-endian weights in the order of its manifest; a
quantised tensor is `uint8 * scale + min`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.errors import ArtifactError
from sfumato.nets.faceresnet import MEAN, SIDE, FaceResNet, Layer

BOX = (25, 25, 140, 140)
"""Left, top, right, bottom of the face inside a 160x160 aligned LFW crop."""

_SPAN = 255  # face-api's; dlib's own code has 256
_BLOCKS = (
    *("conv32_1", "conv32_2", "conv32_3"),
    *("conv64_down", "conv64_1", "conv64_2", "conv64_3"),
    *("conv128_down", "conv128_1", "conv128_2"),
    *("conv256_down", "conv256_1", "conv256_2", "conv256_down_out"),
)
_FILE = "face_recognition_model"
_DTYPES = {"uint8": "u1", "float16": "<f2", "float32": "<f4", "int32": "<i4"}


class FaceNet(nn.Module):
    """Face embeddings, differentiable in the image.

    Shapes: `(n, 3, 150, 150)` RGB in [0, 255] to `(n, 128)`; two pictures of one person lie closer
    than about 0.6.
    """

    mean: Tensor

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        pairs = [f"{block}/{conv}" for block in _BLOCKS for conv in ("conv1", "conv2")]
        layers = [_layer(weights, name) for name in ("conv32_down", *pairs)]
        self.net = FaceResNet(layers, weights["fc"])

    def forward(self, x: Tensor) -> Tensor:
        """Return the embedding of each image."""
        embedded: Tensor = self.net((x - self.mean) / _SPAN)
        return embedded


def _layer(weights: Mapping[str, Tensor], name: str) -> Layer:
    """Return a convolution with its scale a channel, which is linear, folded in."""
    kernel = weights[f"{name}/conv/filters"].permute(3, 2, 0, 1)  # from h w in out
    scale = weights[f"{name}/scale/weights"]
    bias = weights[f"{name}/conv/bias"] * scale + weights[f"{name}/scale/biases"]
    return Layer((kernel * scale[:, None, None, None]).contiguous(), bias)


def load_facenet(folder: Path) -> FaceNet:
    """Read the network from the folder with the two published files, frozen and for evaluation.

    Raises:
        ArtifactError: a file is missing, or the weights are not as long as the manifest says.
    """
    return FaceNet(read_weights(folder, _FILE)).requires_grad_(False).eval()


def face_crop(images: Tensor) -> Tensor:
    """Cut the face from 160x160 aligned crops and resize it for the network.

    Shapes: `(n, 3, 160, 160)` in [0, 255], any dtype, to float `(n, 3, 150, 150)`.
    """
    left, top, right, bottom = BOX
    face = images[..., top:bottom, left:right].float()
    return F.interpolate(face, (SIDE, SIDE), mode="bilinear", align_corners=False)


def read_weights(folder: Path, name: str) -> dict[str, Tensor]:
    """Read one of face-api's networks: `<name>.bin` and its manifest.

    Raises:
        ArtifactError: a file is missing, or the weights are not as long as the manifest says.
    """
    file = f"{name}.bin"
    try:
        content = (folder / file).read_bytes()
        manifest = folder / f"{name}-weights_manifest.json"
        entries = json.loads(manifest.read_text())[0]["weights"]
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise ArtifactError(f"expected {file} and its manifest in {folder}: {error}") from error
    return unpack(content, entries, file)


def unpack(content: bytes, entries: Sequence[Mapping[str, Any]], file: str) -> dict[str, Tensor]:
    """Return the tensors of a weight file, in the order of its manifest's entries.

    Raises:
        ArtifactError: the weights are not as long as the entries say.
    """
    weights, start = {}, 0
    for entry in entries:
        quantised = entry.get("quantization")
        dtype = np.dtype(_DTYPES[quantised["dtype"] if quantised else entry["dtype"]])
        end = start + dtype.itemsize * int(np.prod(entry["shape"]))
        if end > len(content):
            raise ArtifactError(f"{file} ends inside {entry['name']}: copy it again")
        values = np.frombuffer(content[start:end], dtype)
        if entry["dtype"] == "float32":
            values = values.astype(np.float32)
        if quantised and "scale" in quantised:  # half floats have none
            values = values * np.float32(quantised["scale"]) + np.float32(quantised["min"])
        weights[entry["name"]] = torch.from_numpy(values.copy()).reshape(entry["shape"])
        start = end
    if start != len(content):
        raise ArtifactError(f"{file} has {len(content) - start} bytes more than its manifest")
    return weights
