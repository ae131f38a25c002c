"""Features of whole image sets, computed in batches and kept on disk by content."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.data.imageset import ImageSet
from sfumato.device import Device, device_of, resolve_device
from sfumato.errors import FormatError
from sfumato.features.backbone import Backbone
from sfumato.features.picture import features_of
from sfumato.features.tables.forms import MODE
from sfumato.files import map_tensors, write_tensors
from sfumato.progress import track


def extract(
    backbone: Backbone,
    images: ImageSet,
    *,
    batch_size: int = 64,
    device: Device = "auto",
    cache: Path | None = None,
) -> Float[Tensor, "n d"]:
    """Return the features in [0, 1] of all images, in order, as float32 on the CPU.

    With a `cache` folder they are kept there by the fingerprints of backbone and images, and
    memory-mapped when asked for again. A damaged entry is computed anew.

    Raises:
        ConfigError: the backbone's scaler was never fitted.
        DataError: a feature is not finite, or the backbone takes faces and a picture has no face
            or several.
        UnavailableError: this machine has no such device.
    """
    if cache is None:
        return _compute(backbone, images, batch_size, device)
    path = cache / backbone.fingerprint / f"{images.fingerprint()}.safetensors"
    kept = _mapped(path, (len(images), backbone.dim))
    if kept is not None:
        return kept
    features = _compute(backbone, images, batch_size, device)
    write_tensors(path, {"features": features}, {}, mode=MODE)
    return features


def _mapped(path: Path, shape: tuple[int, int]) -> Float[Tensor, "n d"] | None:
    if not path.is_file():
        return None
    try:
        kept = map_tensors(path)[0].get("features")
    except FormatError:
        return None
    if kept is None or kept.shape != shape or kept.dtype != torch.float32:
        return None
    return kept


def _compute(
    backbone: Backbone, images: ImageSet, batch_size: int, device: Device
) -> Float[Tensor, "n d"]:
    where = resolve_device(device)
    home = device_of(backbone)
    features = torch.empty(len(images), backbone.dim)
    backbone.to(where)
    try:
        if backbone.finds_faces:
            return features_of(backbone, track(images.images, f"features of {images.name}"))
        with torch.no_grad():
            starts = range(0, len(images), batch_size)
            for start in track(starts, f"features of {images.name}"):
                batch = images.images[start : start + batch_size].to(where)
                features[start : start + batch_size] = backbone(batch)
    finally:
        backbone.to(home)
    return features
