"""Any timm model as a feature extractor: its architecture by name, its weights from safetensors."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import httpx
import timm
import torch
from huggingface_hub import constants, hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from timm.data.config import resolve_model_data_config
from torch import Tensor, nn

from sfumato.errors import ArtifactError, ConfigError, UnavailableError
from sfumato.features.preprocess import Preprocess
from sfumato.files import read_tensors

WEIGHTS_LIMIT_BYTES = 16 << 30
_PROBE_SECONDS = 5.0


def timm_net(name: str, weights: Path | None) -> nn.Module:
    """Return the named timm model without its classifier, with weights from a file or the hub.

    Raises:
        ConfigError: timm has no such model.
        UnavailableError: no file was given and the hub cannot be reached or has no weights.
        ArtifactError: the weights are not this model's.
    """
    net = timm_architecture(name)
    path = hub_weights(name, net) if weights is None else weights
    tensors, _ = read_tensors(path, limit_bytes=WEIGHTS_LIMIT_BYTES, error=ArtifactError)
    load_weights(net, tensors, name)
    return net


def timm_architecture(name: str) -> nn.Module:
    """Return the named model, untrained and without its classifier.

    Raises:
        ConfigError: timm has no such model.
    """
    if not timm.is_model(name):
        near = get_close_matches(name, timm.list_models(), n=5)
        hint = f"near: {', '.join(near)}" if near else "`timm.list_models()` names them all"
        raise ConfigError(f"timm has no model {name!r}; {hint}")
    net: nn.Module = timm.create_model(name, pretrained=False, num_classes=0)
    return net


def timm_preprocess(net: nn.Module) -> Preprocess:
    """Return the preprocessing that timm records for a model."""
    resolve: Any = resolve_model_data_config
    config = resolve(net)
    channels, height, width = config["input_size"]
    return Preprocess(
        size=(height, width),
        channels=channels,
        fit=config["crop_mode"],
        crop=float(config["crop_pct"]),
        interpolation=config["interpolation"],
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )


def load_weights(net: nn.Module, tensors: dict[str, Tensor], name: str) -> None:
    """Load `tensors` into `net`; a classifier's weights among them are left out.

    Raises:
        ArtifactError: a tensor is missing or has another shape.
    """
    expected = net.state_dict()
    if not expected.keys() <= tensors.keys():
        tensors = _translated(net, tensors)
    missing = sorted(expected.keys() - tensors.keys())
    shapes = [k for k in expected.keys() & tensors.keys() if tensors[k].shape != expected[k].shape]
    if missing or shapes:
        example = missing[0] if missing else sorted(shapes)[0]
        raise ArtifactError(
            f"expected the weights of {name}: {len(missing)} tensors are missing and "
            f"{len(shapes)} have another shape (first: {example}); give that model's own file"
        )
    net.load_state_dict({key: tensors[key] for key in expected})


def _translated(net: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights published under other names as timm's own, where timm knows how."""
    translate: Any = getattr(sys.modules[type(net).__module__], "checkpoint_filter_fn", None)
    if translate is None:
        return tensors
    try:
        return dict(translate(dict(tensors), net))
    except Exception as error:  # foreign weights fail inside timm in any way
        raise ArtifactError(f"timm cannot translate these weights: {error!r}") from error


def hub_weights(name: str, net: nn.Module) -> Path:
    """Return the path of a model's published weights, downloaded once into the hub's cache.

    timm would also take pickled weights; only safetensors are taken here.

    Raises:
        UnavailableError: there are none, or there is no network; says what to do then.
    """
    published: Any = getattr(net, "pretrained_cfg", None) or {}
    repository = published.get("hf_hub_id")
    help_ = "give a local file instead (`weights`, a .safetensors)"
    if not isinstance(repository, str):
        raise UnavailableError(f"no published weights of {name}; {help_}")
    try:
        return Path(hf_hub_download(repository, "model.safetensors", local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    try:
        # The hub's client would retry for half a minute before it says that there is no network.
        httpx.head(constants.ENDPOINT, timeout=_PROBE_SECONDS)
        return Path(hf_hub_download(repository, "model.safetensors"))
    except (httpx.HTTPError, HfHubHTTPError, OSError) as error:
        raise UnavailableError(
            f"cannot fetch {repository}/model.safetensors from {constants.ENDPOINT} "
            f"({type(error).__name__}); {help_}, or download it on a machine with a network"
        ) from error


def on_meta(name: str) -> nn.Module:
    """Return the architecture without memory for its weights, to compare shapes beforehand."""
    with torch.device("meta"):
        return timm_architecture(name)
