"""What a backbone's spec names: a network, and how pictures become its input.

- `raw`, pixels as they are, of the size of the public images; or `raw:1x28x28`
- `gradients` or `gradients:1x28x28`, oriented gradients: public without any training
- `face`, every face of a picture by dlib's published network (extra `faces`)
- `timm:NAME`, a timm model with published weights, or those in a safetensors file
- `onnx:PATH`, an ONNX file
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sfumato.data.lazy import FolderImages
from sfumato.device import device_of
from sfumato.errors import ConfigError
from sfumato.features.preprocess import Preprocess
from sfumato.features.public import Public, loaded
from sfumato.features.scaler import Scaler
from sfumato.features.stored import Kind
from sfumato.files import at_home
from sfumato.nets.gradients import OrientedGradients


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The parts of a backbone that is not fitted yet, as its constructor takes them."""

    net: nn.Module
    name: str
    kind: Kind
    architecture: str = ""
    preprocess: Preprocess
    scaler: Scaler | None = None


def open_spec(
    spec: str, *, weights: Path | None, preprocess: Mapping[str, Any], public: Public | None
) -> Opened | None:
    """Return what a spec names, or None where it is none of these: a saved backbone's path.

    Raises:
        ConfigError: its settings are wrong, or belong to another kind.
        ArtifactError: a file is not what it should be.
        UnavailableError: weights cannot be downloaded here, or an extra is not installed.
    """
    kind, _, rest = spec.partition(":")
    _check(spec, kind, weights, preprocess)
    if kind == "raw":
        return _untrained("raw", rest, public)
    if kind == "gradients":
        return _untrained("gradients", rest, public)
    if spec == "face":
        return _face()
    if kind == "timm":
        return _timm(rest, weights, preprocess)
    return _onnx(at_home(rest), preprocess) if kind == "onnx" else None


def width_of(net: nn.Module, preprocess: Preprocess) -> int:
    """Return the features a picture, by running two grey ones.

    Raises:
        ConfigError: the network does not return a row of features a picture.
    """
    device = device_of(net)
    blank = torch.full((2, preprocess.channels, *preprocess.size), 0.5, device=device)
    with torch.no_grad():
        output = net(preprocess(blank))
    if not isinstance(output, Tensor) or output.ndim < 2 or len(output) != len(blank):
        raise ConfigError(
            "expected a network that returns one tensor with a row of features a picture, "
            f"got {getattr(output, 'shape', type(output).__name__)} for {len(blank)} pictures"
        )
    return output.flatten(1).shape[1]


def _check(spec: str, kind: str, weights: Path | None, preprocess: Mapping[str, Any]) -> None:
    known = {field.name for field in fields(Preprocess)}
    for name in preprocess:
        if name not in known:
            raise ConfigError(f"`preprocess` has no setting {name!r}")
        if kind not in ("timm", "onnx"):
            raise ConfigError(f"`{name}` belongs to a timm:NAME or onnx:PATH backbone, not {spec}")
    if kind != "timm" and weights is not None:
        raise ConfigError(f"`weights` belong to a timm:NAME backbone, not to {spec!r}")


def _untrained(kind: Kind, shape: str, public: Public | None) -> Opened:
    """Open a backbone without weights; its values are in [0, 1], so its scaler changes nothing."""
    found = re.fullmatch(r"([13])x(\d{1,4})x(\d{1,4})", shape)
    if found:
        channels, height, width = map(int, found.groups())
    elif not shape and public is not None and not isinstance(public, FolderImages):
        channels, height, width = loaded(public).images.shape[1:]
    else:
        raise ConfigError(f"expected {kind}:1x28x28 (channels, height, width), got {kind}:{shape}")
    net = nn.Flatten() if kind == "raw" else OrientedGradients()
    preprocess = Preprocess(size=(height, width), channels=channels if kind == "raw" else 1)
    return Opened(
        net=net,
        name=f"{kind}:{channels}x{height}x{width}",
        kind=kind,
        preprocess=preprocess,
        scaler=Scaler.identity(width_of(net, preprocess)),
    )


def _face() -> Opened:
    from sfumato.features.facenet import ARCHITECTURE, PREPROCESS, FaceNet

    return Opened(
        net=FaceNet(), name="face", kind="face", architecture=ARCHITECTURE, preprocess=PREPROCESS
    )


def _timm(name: str, weights: Path | None, preprocess: Mapping[str, Any]) -> Opened:
    from sfumato.features.timm_net import timm_net, timm_preprocess

    if preprocess.get("layout", "nchw") != "nchw":
        raise ConfigError("timm models take `layout` nchw")
    net = timm_net(name, weights)
    wanted = replace(timm_preprocess(net), **preprocess)
    return Opened(net=net, name=f"timm:{name}", kind="timm", architecture=name, preprocess=wanted)


def _onnx(path: Path, preprocess: Mapping[str, Any]) -> Opened:
    from sfumato.features.onnx_net import read_onnx

    net = read_onnx(path)
    settings = {**net.settings(preprocess.get("layout")), **preprocess}
    if "size" not in settings:
        raise ConfigError(f"{path} does not fix its input's size: give `size`, height and width")
    try:
        wanted = Preprocess(**settings)
    except ConfigError as error:
        raise ConfigError(f"{path}, whose input is {net.shape}: {error}") from error
    return Opened(net=net, name=f"onnx:{path.name}", kind="onnx", preprocess=wanted)
