"""A backbone on disk: one safetensors file, read with suspicion and without running its content.

Metadata: `sfumato.backbone` (format version) and `config` (JSON: name, kind, architecture,
preprocess). Tensors: `net.*` (weights; or `net.graph`, an ONNX file as uint8; or `net.digests`,
those of the face network's weights), `scaler.low` and `scaler.high`, and `projection.mean` and
`projection.components` where there is a projection. A backbone with a policy also has the metadata
`policy` (JSON: its numbers) and the tensor `policy.cohort`.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from sfumato.errors import ArtifactError, ConfigError
from sfumato.features.policy import Policy
from sfumato.features.preprocess import Preprocess
from sfumato.features.projection import Projection
from sfumato.features.scaler import Scaler
from sfumato.files import MALFORMED, pack_tensors, read_tensors, unpack_tensors, write_bytes
from sfumato.nets.gradients import OrientedGradients

Kind = Literal["raw", "gradients", "face", "timm", "onnx", "module"]

_RANKS = {"scaler": {"low": 1, "high": 1}, "projection": {"mean": 1, "components": 2}}
_COHORT = "policy.cohort"
_VERSION = 1
_LIMIT_BYTES = 16 << 30
_NAME_LIMIT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The parts of a backbone file, checked except for the network's own tensors."""

    name: str
    kind: Kind
    architecture: str
    preprocess: Preprocess
    tensors: Mapping[str, Tensor]
    policy: Policy | None = None

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over all parts but the name and the policy."""
        config = [self.kind, self.architecture, self.preprocess.document()]
        digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
        for key, value in sorted(self.tensors.items()):
            digest.update(f"{key}:{value.dtype}:{tuple(value.shape)}:".encode())
            raw: Any = value.cpu().contiguous().flatten().view(torch.uint8).numpy()
            digest.update(raw)
        return digest.hexdigest()

    def net_tensors(self) -> dict[str, Tensor]:
        """Return the network's tensors under its own names."""
        return {k.removeprefix("net."): t for k, t in self.tensors.items() if k.startswith("net.")}

    def scaler(self) -> Scaler | None:
        """Return the scaler, if the backbone has one."""
        if "scaler.low" not in self.tensors:
            return None
        return Scaler(self.tensors["scaler.low"], self.tensors["scaler.high"])

    def projection(self) -> Projection | None:
        """Return the projection, if the backbone has one."""
        if "projection.mean" not in self.tensors:
            return None
        return Projection(self.tensors["projection.mean"], self.tensors["projection.components"])


def pack(parts: Stored) -> bytes:
    """Return the file's bytes."""
    config = {
        "name": parts.name,
        "kind": parts.kind,
        "architecture": parts.architecture,
        "preprocess": parts.preprocess.document(),
    }
    header = {"sfumato.backbone": str(_VERSION), "config": json.dumps(config, sort_keys=True)}
    if parts.policy is None:
        return pack_tensors(parts.tensors, header)
    header["policy"] = json.dumps(parts.policy.document(), sort_keys=True)
    return pack_tensors({**parts.tensors, _COHORT: parts.policy.cohort}, header)


def save(parts: Stored, path: Path) -> None:
    """Write the file, whole or not at all."""
    write_bytes(path, pack(parts))


def unpack(content: bytes) -> Stored:
    """Return the checked parts of a backbone file's bytes.

    Raises:
        ArtifactError: the bytes are no backbone, or of an unknown version.
    """
    return _checked(*unpack_tensors(content, limit_bytes=_LIMIT_BYTES, error=ArtifactError))


def read(path: Path) -> Stored:
    """Return the checked parts of a backbone file.

    Raises:
        ArtifactError: the file is missing, no backbone, or of an unknown version.
    """
    return _checked(*read_tensors(path, limit_bytes=_LIMIT_BYTES, error=ArtifactError))


def rebuild(parts: Stored, net: nn.Module | None) -> nn.Module:
    """Return the network with its weights; `net` is the code of a wrapped one.

    Raises:
        ArtifactError: the tensors are not this network's.
        ConfigError: `net` is missing where it is needed, or given where it is not.
        UnavailableError: it needs an extra that is not installed.
    """
    if (net is None) == (parts.kind == "module"):
        raise ConfigError(
            f"backbone {parts.name} wraps a network of the caller's: pass it as net=..."
            if net is None
            else f"backbone {parts.name} is of kind {parts.kind}, which brings its own network"
        )
    tensors = parts.net_tensors()
    if parts.kind == "raw":
        _exactly(tensors, {})
        return nn.Flatten()
    if parts.kind == "gradients":
        _exactly(tensors, {})
        return OrientedGradients()
    if parts.kind == "face":
        return _face(parts, tensors)
    if parts.kind == "onnx":
        return _onnx(tensors)
    return _timm(parts.architecture, tensors) if net is None else _loaded(net, tensors)


def check_fit(width: int, projection: Projection | None, scaler: Scaler | None) -> None:
    """Check that projection and scaler fit a network of `width` features.

    Raises:
        ArtifactError: a shape does not fit, or a range is empty.
    """
    dim = width
    if projection is not None:
        dim = len(projection.components)
        if projection.mean.shape != (width,) or projection.components.shape[1] != width:
            raise ArtifactError(f"expected a projection of the network's {width} features")
    if scaler is not None:
        if not scaler.low.shape == scaler.high.shape == (dim,):
            raise ArtifactError(f"expected a scaler of {dim} features, got {len(scaler.low)}")
        if not bool((scaler.high > scaler.low).all()):
            raise ArtifactError("expected a scaler with low below high in every dimension")


def check_policy(dim: int, policy: Policy) -> None:
    """Check that a policy fits a backbone of `dim` features.

    Raises:
        ArtifactError: its cohort has features of another backbone.
    """
    width = policy.cohort.shape[1]
    if width != dim:
        raise ArtifactError(f"expected a policy's cohort of {dim} features a picture, got {width}")


def _checked(tensors: dict[str, Tensor], header: dict[str, str]) -> Stored:
    found = header.get("sfumato.backbone")
    if found != str(_VERSION):
        raise ArtifactError(f"expected a backbone of format version {_VERSION}, got {found}")
    try:
        config = json.loads(header["config"])
        name, kind, architecture = (config[key] for key in ("name", "kind", "architecture"))
        preprocess = Preprocess.from_document(config["preprocess"])
    except MALFORMED as error:
        raise ArtifactError(f"expected a backbone's config: {error!r}") from error
    texts = all(isinstance(t, str) and len(t) <= _NAME_LIMIT for t in (name, architecture))
    if not texts or kind not in get_args(Kind):
        raise ArtifactError(f"expected a backbone of kind {get_args(Kind)}, got {kind!r}")
    policy = _policy(tensors.pop(_COHORT, None), header.get("policy"))
    for part, ranks in _RANKS.items():
        own = {k: t for k, t in tensors.items() if k.startswith(f"{part}.")}
        if own:
            _check_part(own, {f"{part}.{key}": rank for key, rank in ranks.items()})
    strange = [k for k in tensors if not k.startswith(("net.", "scaler.", "projection."))]
    if strange:
        raise ArtifactError(f"a backbone has no tensor {strange[0]!r}")
    return Stored(
        name=name,
        kind=kind,
        architecture=architecture,
        preprocess=preprocess,
        tensors=tensors,
        policy=policy,
    )


def _policy(cohort: Tensor | None, document: str | None) -> Policy | None:
    if cohort is None and document is None:
        return None
    if cohort is None or document is None:
        raise ArtifactError(f"expected a policy's numbers and its tensor {_COHORT!r}, got one")
    try:
        numbers = json.loads(document)
    except MALFORMED as error:
        raise ArtifactError(f"expected a policy's numbers: {error!r}") from error
    if not isinstance(numbers, dict):
        raise ArtifactError(f"expected a policy's numbers, got {type(numbers).__name__}")
    return Policy.from_document(numbers, cohort)


def _check_part(tensors: Mapping[str, Tensor], ranks: Mapping[str, int]) -> None:
    if tensors.keys() != ranks.keys():
        raise ArtifactError(f"expected the tensors {sorted(ranks)}, got {sorted(tensors)}")
    for key, value in tensors.items():
        sound = value.dtype == torch.float32 and value.ndim == ranks[key]
        if not sound or not bool(value.isfinite().all()):
            raise ArtifactError(
                f"expected {key} to be finite float32 in {ranks[key]} dimensions, "
                f"got {value.dtype} {tuple(value.shape)}"
            )
    if len({value.shape[-1] for value in tensors.values()}) > 1:
        raise ArtifactError(f"expected {sorted(ranks)} of one length")


def _exactly(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    if tensors.keys() != expected.keys():
        different = sorted(tensors.keys() ^ expected.keys())
        raise ArtifactError(f"the tensors are not this network's: {different[0]!r} differs")
    for key, value in expected.items():
        if tensors[key].shape != value.shape or tensors[key].dtype != value.dtype:
            raise ArtifactError(
                f"expected {key!r} of {value.dtype} {tuple(value.shape)}, "
                f"got {tensors[key].dtype} {tuple(tensors[key].shape)}"
            )


def _face(parts: Stored, tensors: dict[str, Tensor]) -> nn.Module:
    from sfumato.features.facenet import ARCHITECTURE, PREPROCESS, FaceNet, published

    _exactly(tensors, {"digests": published()})
    known = (ARCHITECTURE, PREPROCESS)
    if (parts.architecture, parts.preprocess) != known or not tensors["digests"].equal(published()):
        raise ArtifactError(
            f"expected a backbone of the face network {ARCHITECTURE} as this version has it, got "
            f"one with other weights or input ({parts.architecture}); ask the provider"
        )
    return FaceNet()


def _onnx(tensors: dict[str, Tensor]) -> nn.Module:
    from sfumato.features.onnx_net import OnnxNet

    graph = tensors.get("graph")
    if len(tensors) != 1 or graph is None or graph.dtype != torch.uint8 or graph.ndim != 1:
        raise ArtifactError("expected one ONNX graph as uint8 bytes")
    return OnnxNet(graph)


def _timm(architecture: str, tensors: dict[str, Tensor]) -> nn.Module:
    from sfumato.features.timm_net import on_meta, timm_architecture

    try:
        # A small file must not make us allocate a giant: compare shapes before there is memory.
        _exactly(tensors, on_meta(architecture).state_dict())
    except ConfigError as error:
        raise ArtifactError(str(error)) from error
    net = timm_architecture(architecture)
    net.load_state_dict(tensors)
    return net


def _loaded(net: nn.Module, tensors: dict[str, Tensor]) -> nn.Module:
    net = copy.deepcopy(net)
    _exactly(tensors, net.state_dict())
    net.load_state_dict(tensors)
    return net
