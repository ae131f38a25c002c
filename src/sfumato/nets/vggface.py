"""VGG-Face: 16 weight layers, 2,622 outputs (Parkhi et al. 2015), and its published weights.

The architecture is torchvision's VGG-16. Weights are read from safetensors, NumPy's npz, or the
MatConvNet file of the authors (.mat); kernels may be out x in x h x w, or h x w x in x out. Files
that are pickles (.pth, .pt, .pkl) or HDF5 (.h5) are refused: a pickle runs code when it is read.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from scipy.io import loadmat
from scipy.io.matlab import MatReadError
from torch import Tensor, nn
from torchvision.models import vgg16

from sfumato.errors import ArtifactError
from sfumato.files import read_tensors

DIM = 2_622
"""Length of the embedding: the people on whom it was trained."""

_SIDE = 224
_MEAN = (129.1863, 104.7624, 93.5940)  # RGB, of its training pictures
_LIMIT_BYTES = 2 << 30
_STAGES = (2, 2, 3, 3, 3)  # convolutions before each pooling
_LAST = "classifier.6.weight"
_DENSE = {"fc6": 0, "fc7": 3, "fc8": 6}  # places in torchvision's classifier


class VggFace(nn.Module):
    """Face embeddings as the paper `san` uses them: the 2,622 outputs.

    Shapes: images `(n, 1 or 3, h, w)` in [0, 1] to `(n, 2622)`; grey is repeated to RGB, and any
    size is resized to 224x224.
    """

    def __init__(self) -> None:
        super().__init__()
        self.net = vgg16(weights=None, num_classes=DIM)
        self.mean: Tensor
        self.register_buffer("mean", torch.tensor(_MEAN).view(3, 1, 1), persistent=False)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 2622"]:
        """Return the embeddings."""
        if tuple(images.shape[2:]) != (_SIDE, _SIDE):
            images = F.interpolate(images, (_SIDE, _SIDE), mode="bilinear", antialias=True)
        vectors: Tensor = self.net(images.expand(-1, 3, -1, -1) * 255 - self.mean)
        return vectors


def load_vggface(path: Path) -> VggFace:
    """Read published weights, frozen and for evaluation.

    Raises:
        ArtifactError: the file is of a kind that is not read, damaged, or of another network.
    """
    tensors = {_name(key): value for key, value in _read(path).items()}
    net = VggFace()
    wanted = net.net.state_dict()
    missing = sorted(set(wanted) - set(tensors))
    if missing:
        raise ArtifactError(
            f"{path} is not VGG-Face: no {missing[0]} (expected torchvision's names, or conv1_1 to "
            "fc8, each with .weight and .bias)"
        )
    # A square matrix does not show which way it lies: it lies as the last one does.
    turned = tensors[_LAST].shape == wanted[_LAST].shape[::-1]
    laid = {name: _laid(tensors[name], like.shape, turned) for name, like in wanted.items()}
    for name, like in wanted.items():
        if laid[name].shape != like.shape:
            raise ArtifactError(
                f"{path}: {name} has shape {tuple(tensors[name].shape)}, expected "
                f"{tuple(like.shape)}"
            )
    net.net.load_state_dict(laid)
    return net.requires_grad_(False).eval()


def layer_names() -> dict[str, str]:
    """Return torchvision's name of each of the authors' layers: conv1_1 is features.0, and so on.

    Convolutions, their activations and the poolings count as places in between.
    """
    names, place = {}, 0
    for stage, count in enumerate(_STAGES, 1):
        for i in range(1, count + 1):
            names[f"conv{stage}_{i}"] = f"features.{place}"
            place += 2
        place += 1
    return names | {name: f"classifier.{i}" for name, i in _DENSE.items()}


def _name(key: str) -> str:
    """Return torchvision's name for a key in any published layout."""
    found = re.fullmatch(r"(?:.*[./])?(conv\d_\d|fc[678])[./_](weight|W|filter|bias|b)s?", key)
    if found is None:
        return key.removeprefix("net.")
    kind = "bias" if found[2].startswith("b") else "weight"
    return f"{layer_names().get(found[1], found[1])}.{kind}"


def _laid(tensor: Tensor, shape: torch.Size, turned: bool) -> Tensor:
    """Return a kernel as out x in x h x w, and a dense one as out x in."""
    tensor = tensor.float()
    if turned and tensor.shape == shape == shape[::-1] and len(shape) == 2:
        return tensor.T.contiguous()
    if tensor.shape == shape:
        return tensor
    if tensor.ndim == 4 and len(shape) == 4:
        return tensor.permute(3, 2, 0, 1).contiguous()
    if tensor.ndim == 4 and len(shape) == 2:  # the authors' dense layers are 7x7 or 1x1 kernels
        whole = tensor if tensor.shape[0] == shape[0] else tensor.permute(3, 2, 0, 1)
        return whole.flatten(1).contiguous()
    if tensor.ndim == 2 and tuple(tensor.shape) == (shape[-1], shape[0]):
        return tensor.T.contiguous()
    return tensor.reshape(shape) if tensor.numel() == shape.numel() else tensor


def _read(path: Path) -> Mapping[str, Tensor]:
    readers = {".safetensors": _safetensors, ".npz": _npz, ".mat": _mat}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ArtifactError(
            f"{path}: VGG-Face is read from .safetensors, .npz or .mat, not from "
            f"{path.suffix or 'a file without an ending'}; a pickle can run code: convert it where "
            "you trust it, with safetensors.torch.save_file"
        )
    return reader(path)


def _safetensors(path: Path) -> Mapping[str, Tensor]:
    tensors, _ = read_tensors(path, limit_bytes=_LIMIT_BYTES, error=ArtifactError)
    return tensors


def _npz(path: Path) -> Mapping[str, Tensor]:
    try:
        # NumPy leaves a file open that is no archive; ours is closed in any case.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return {key: torch.from_numpy(arrays[key]) for key in arrays.files}
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"{path} is no npz of arrays: {error}") from error


def _mat(path: Path) -> Mapping[str, Tensor]:
    """Read MatConvNet's file: `layers`, each with a name and, where it has any, its weights."""
    try:
        layers = loadmat(path, squeeze_me=True, struct_as_record=False)["layers"]
        found: dict[str, Tensor] = {}
        for layer in np.atleast_1d(layers):
            weights: Any = getattr(layer, "weights", None)
            if weights is None or len(np.atleast_1d(weights)) != 2:
                continue
            kernel, bias = (np.asarray(part, np.float32) for part in weights)
            found[f"{layer.name}.weight"] = torch.from_numpy(_four(kernel))
            found[f"{layer.name}.bias"] = torch.from_numpy(bias.reshape(-1))
    except (MatReadError, OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise ArtifactError(f"{path} is not MatConvNet's VGG-Face: {error}") from error
    return found


def _four(kernel: Any) -> Any:  # noqa: ANN401 - MATLAB drops sides of length one
    return kernel if kernel.ndim == 4 else kernel.reshape(1, 1, *kernel.shape[-2:])
