"""The state of a training run in one safetensors file: tensors as tensors, the rest as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from sfumato.errors import ArtifactError
from sfumato.files import pack_tensors, read_tensors, write_bytes

_VERSION = 2
_LIMIT_BYTES = 64 << 30


def save_checkpoint(
    path: Path,
    *,
    about: str,
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, Optimizer],
    schedulers: Mapping[str, LRScheduler],
    best: Mapping[str, Tensor],
    progress: Mapping[str, Any],
) -> None:
    """Write everything that the next epoch depends on, whole or not at all.

    `about` is a digest of what the training is of: its pictures and settings.
    """
    tensors = {f"best/{key}": value for key, value in best.items()}
    document: dict[str, Any] = {"progress": progress, "optimizers": {}, "schedulers": {}}
    for name, module in modules.items():
        tensors |= {f"module/{name}/{key}": t.clone() for key, t in module.state_dict().items()}
    for name, optimizer in optimizers.items():
        state = optimizer.state_dict()
        document["optimizers"][name] = {"param_groups": state["param_groups"], "scalars": {}}
        scalars = document["optimizers"][name]["scalars"]
        for index, entries in state["state"].items():
            for key, value in entries.items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer/{name}/{index}/{key}"] = value.clone()
                else:
                    scalars.setdefault(str(index), {})[key] = value
    for name, scheduler in schedulers.items():
        document["schedulers"][name] = scheduler.state_dict()
    header = {"sfumato.checkpoint": str(_VERSION), "state": json.dumps(document)}
    header["about"] = about
    write_bytes(path, pack_tensors(tensors, header))


def load_checkpoint(
    path: Path,
    *,
    about: str,
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, Optimizer],
    schedulers: Mapping[str, LRScheduler],
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Restore a run in place; return the best weights so far and the progress written with it.

    Raises:
        ArtifactError: the file is damaged, of another version, or of another training.
    """
    tensors, header = read_tensors(path, limit_bytes=_LIMIT_BYTES, error=ArtifactError)
    if header.get("sfumato.checkpoint") != str(_VERSION):
        found = header.get("sfumato.checkpoint", "none")
        raise ArtifactError(f"{path}: expected checkpoint version {_VERSION}, got {found}")
    if header.get("about") != about:
        raise ArtifactError(
            f"{path} is of another training, on other pictures or with other settings; remove it, "
            "or choose another `checkpoint`"
        )
    document = json.loads(header["state"])
    try:
        for name, module in modules.items():
            module.load_state_dict(_under(tensors, f"module/{name}/"))
        for name, optimizer in optimizers.items():
            optimizer.load_state_dict(_optimizer_state(tensors, document, name))
        for name, scheduler in schedulers.items():
            scheduler.load_state_dict(document["schedulers"][name])
    except (KeyError, RuntimeError, ValueError) as error:
        raise ArtifactError(
            f"{path} is of another training run ({error}); remove it, or choose another "
            "`checkpoint`"
        ) from error
    return _under(tensors, "best/"), document["progress"]


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key[len(prefix) :]: t for key, t in tensors.items() if key.startswith(prefix)}


def _optimizer_state(
    tensors: Mapping[str, Tensor], document: Mapping[str, Any], name: str
) -> dict[str, Any]:
    saved = document["optimizers"][name]
    state: dict[int, dict[str, Any]] = {
        int(index): dict(entries) for index, entries in saved["scalars"].items()
    }
    for key, value in _under(tensors, f"optimizer/{name}/").items():
        index, entry = key.split("/", 1)
        state.setdefault(int(index), {})[entry] = value
    return {"state": state, "param_groups": saved["param_groups"]}


def snapshot(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Copy all weights, named `<module>/<key>`."""
    return {
        f"{name}/{key}": value.detach().clone()
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }


def restore(modules: Mapping[str, nn.Module], best: Mapping[str, Tensor]) -> None:
    """Put back what `snapshot` copied."""
    with torch.no_grad():
        for name, module in modules.items():
            module.load_state_dict(_under(best, f"{name}/"))
