"""The provider's public extractor: preprocessing, network, projection and scaler as one thing.

A backbone is frozen. Two backbones with one fingerprint give the same features; an enrollment and
a bank name the fingerprint that they were made for.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sfumato.data.imageset import ImageSet
from sfumato.data.lazy import FolderImages, LoadedImages, decoded
from sfumato.device import device_of
from sfumato.errors import ArtifactError, ConfigError, DataError
from sfumato.features import stored
from sfumato.features.policy import Policy
from sfumato.features.preprocess import Images, Preprocess
from sfumato.features.projection import Projection, fit_projection
from sfumato.features.scaler import Scaler, fit_scaler
from sfumato.files import at_home
from sfumato.nets.gradients import OrientedGradients
from sfumato.progress import track
from sfumato.types import Fingerprinted

Public = ImageSet | LoadedImages | FolderImages
"""Public pictures that fit a scaler."""

_FIT_BATCH = 64


class Backbone(nn.Module, Fingerprinted):
    """Pictures in, features in [0, 1] out.

    Shapes: `forward` takes (n, c, h, w), grey or RGB, uint8 or floats in [0, 1], of any size, and
    returns float32 (n, dim). Gradients flow to float pictures, except through an ONNX graph.

    Attributes:
        name: for people; not part of the fingerprint.
        kind: `raw`, `gradients`, `timm`, `onnx` or `module` (a network of the caller's).
        architecture: timm's name of the model, the caller's name of a `module`, else empty.
        dim: D, the number of features a picture.
        fingerprint: SHA-256 (hex) over kind, architecture, preprocessing, weights, projection and
            scaler.
        policy: what was measured on public pictures, or None before that; not part of the
            fingerprint. See `filter calibrate`.
    """

    fingerprint: str
    policy: Policy | None

    def __init__(
        self,
        net: nn.Module,
        *,
        name: str,
        kind: stored.Kind,
        architecture: str,
        preprocess: Preprocess,
        projection: Projection | None = None,
        scaler: Scaler | None = None,
    ) -> None:
        super().__init__()
        self.name, self.kind, self.architecture = name, kind, architecture
        self.preprocess = preprocess
        self.net = net
        self.requires_grad_(False).eval()
        width = _width(net, preprocess)
        self.projection, self.scaler = projection, scaler
        self.dim = width if projection is None else len(projection.components)
        stored.check_fit(width, projection, scaler)
        self.fingerprint = self._fingerprint()
        self.policy = None

    @classmethod
    def wrap(cls, net: nn.Module, *, name: str, preprocess: Preprocess) -> Backbone:
        """Return a frozen copy of any network (n, c, h, w) -> (n, ...) as a backbone.

        `name` stands for the network's code in the fingerprint: change it when the code changes.
        """
        net = copy.deepcopy(net)
        return cls(net, name=name, kind="module", architecture=name, preprocess=preprocess)

    def train(self, mode: bool = True) -> Backbone:  # noqa: ARG002
        """Stay in evaluation mode: a backbone's batch statistics must not move."""
        super().train(False)
        return self

    def unscaled(self, images: Images) -> Float[Tensor, "n dim"]:
        """Return the features before the scaler: what the network (and the projection) gives.

        Raises:
            DataError: a feature is not finite.
        """
        x: Tensor = self.net(self.preprocess(images)).flatten(1).float()
        if self.projection is not None:
            x = self.projection(x)
        # A NaN would lie outside every interval, and so slip past every guard.
        if not bool(x.isfinite().all()):
            raise DataError(f"backbone {self.name} gives features that are not finite")
        return x

    def forward(self, images: Images) -> Float[Tensor, "n dim"]:
        """Return the features in [0, 1].

        Raises:
            ConfigError: the scaler was never fitted.
            DataError: the pictures are neither grey nor RGB, or a feature is not finite.
        """
        if self.scaler is None:
            raise ConfigError(
                f"backbone {self.name} has no scaler to [0, 1] yet: fit it on public images "
                "(open_backbone(..., public=images) or backbone.fit(images))"
            )
        scaled: Tensor = self.scaler(self.unscaled(images))
        return scaled

    def fit(self, public: Public, *, dims: int | None = None, seed: int = 0) -> Backbone:
        """Return this backbone with projection (to `dims`, if given) and scaler fitted anew.

        The public images may be of any sizes: each goes through the backbone whole. The result
        has no policy: on another scale features have other errors.

        Raises:
            DataError: the public images are too few or all alike.
            ConfigError: `dims` is more than the features or the images allow.
        """
        bare = self._with(None, None)
        with torch.no_grad():
            features = torch.cat([bare.unscaled(b) for b in _batches(public)])
            projection = None if dims is None else fit_projection(features, dims, seed=seed)
            if projection is not None:
                features = projection(features)
        return self._with(projection, fit_scaler(features))

    def with_policy(self, policy: Policy | None) -> Backbone:
        """Return this backbone with that policy, or without any; the network is the same object.

        Raises:
            ArtifactError: the policy's cohort has features of another backbone.
        """
        if policy is not None:
            stored.check_policy(self.dim, policy)
        changed = copy.copy(self)
        changed.policy = policy
        return changed

    def save(self, path: Path) -> None:
        """Write the backbone as one safetensors file, whole or not at all."""
        stored.save(self.to_stored(), path)

    def to_bytes(self) -> bytes:
        """Return the backbone as one safetensors file."""
        return stored.pack(self.to_stored())

    @classmethod
    def load(cls, path: Path, *, net: nn.Module | None = None) -> Backbone:
        """Read what `save` wrote. A wrapped network's code comes with `net`.

        Raises:
            ArtifactError: the file is missing, damaged, hostile or of an unknown version.
            ConfigError: it holds a wrapped network and `net` was not given.
        """
        try:
            return cls._from_stored(stored.read(path), net)
        except ArtifactError as error:
            prefix = "" if str(path) in str(error) else f"{path}: "
            raise ArtifactError(f"{prefix}{error}") from error

    @classmethod
    def from_bytes(cls, content: bytes, *, net: nn.Module | None = None) -> Backbone:
        """Read what `to_bytes` returned; as `load`."""
        return cls._from_stored(stored.unpack(content), net)

    @classmethod
    def _from_stored(cls, parts: stored.Stored, net: nn.Module | None) -> Backbone:
        return cls(
            stored.rebuild(parts, net),
            name=parts.name,
            kind=parts.kind,
            architecture=parts.architecture,
            preprocess=parts.preprocess,
            projection=parts.projection(),
            scaler=parts.scaler(),
        ).with_policy(parts.policy)

    def to_stored(self) -> stored.Stored:
        """Return the parts of the file; all but name and policy make up the fingerprint."""
        return stored.Stored(
            name=self.name,
            kind=self.kind,
            architecture=self.architecture,
            preprocess=self.preprocess,
            tensors=self.state_dict(),
            policy=self.policy,
        )

    def _with(self, projection: Projection | None, scaler: Scaler | None) -> Backbone:
        return Backbone(
            self.net,
            name=self.name,
            kind=self.kind,
            architecture=self.architecture,
            preprocess=self.preprocess,
            projection=projection,
            scaler=scaler,
        )

    def _fingerprint(self) -> str:
        config = [self.kind, self.architecture, self.preprocess.document()]
        digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
        for key, value in sorted(self.state_dict().items()):
            digest.update(f"{key}:{value.dtype}:{tuple(value.shape)}:".encode())
            digest.update(value.cpu().contiguous().flatten().view(torch.uint8).numpy())
        return digest.hexdigest()


def _width(net: nn.Module, preprocess: Preprocess) -> int:
    """Return the features a picture, by running two grey ones."""
    device = device_of(net)
    blank = torch.full((2, preprocess.channels, *preprocess.size), 0.5, device=device)
    with torch.no_grad():
        output = net(blank)
    if not isinstance(output, Tensor) or output.ndim < 2 or len(output) != len(blank):
        raise ConfigError(
            "expected a network that returns one tensor with a row of features a picture, "
            f"got {getattr(output, 'shape', type(output).__name__)} for {len(blank)} pictures"
        )
    return output.flatten(1).shape[1]


def open_backbone(
    spec: str,
    *,
    weights: Path | None = None,
    preprocess: Preprocess | None = None,
    public: Public | None = None,
    dims: int | None = None,
    seed: int = 0,
) -> Backbone:
    """Open a backbone by its spec; fit projection and scaler on `public` images if given.

    `spec` is one of
    - `raw`, pixels as they are, of the size of the public images; or `raw:1x28x28`
    - `gradients` or `gradients:1x28x28`, oriented gradients: public without any training
    - `timm:NAME`, a timm model with published weights, or those in the safetensors file `weights`
    - `onnx:PATH`, an ONNX file; `preprocess` says what its file cannot (mean, std, size)
    - the path of a saved backbone, complete with its scaler

    `dims`, if given, adds a projection to that many dimensions.

    Raises:
        ConfigError: the spec is none of these, or settings exclude each other.
        ArtifactError: a file is not what it should be.
        UnavailableError: weights cannot be downloaded here, or an extra is not installed.
    """
    kind, _, rest = spec.partition(":")
    if kind == "raw":
        backbone = _untrained("raw", rest, public)
    elif kind == "gradients":
        backbone = _untrained("gradients", rest, public)
    elif kind == "timm":
        backbone = _timm(rest, weights, preprocess)
    elif kind == "onnx":
        backbone = _onnx(at_home(rest), preprocess)
    else:
        backbone = Backbone.load(_existing(spec))
        if public is not None or dims is not None:
            raise ConfigError(f"{spec} has its public scaler already; open it without public=")
    if kind != "timm" and weights is not None:
        raise ConfigError(f"weights belong to a timm:NAME backbone, not to {spec!r}")
    if public is None and dims is not None:
        raise ConfigError("a projection (dims) is fitted on public images: give public=")
    if public is None or (kind in ("raw", "gradients") and dims is None):
        return backbone
    return backbone.fit(public, dims=dims, seed=seed)


def _batches(public: Public) -> Iterator[Images]:
    """Yield the pictures in batches of one size; those of a folder one by one."""
    if isinstance(public, FolderImages):
        for some in track(decoded(public), "public features", total=len(public)):
            yield from (picture.pixels[None] for picture in some.pictures)
    else:
        yield from track(_loaded(public).images.split(_FIT_BATCH), "public features")


def _loaded(public: ImageSet | LoadedImages) -> ImageSet:
    return public.images if isinstance(public, LoadedImages) else public


def _untrained(kind: stored.Kind, shape: str, public: Public | None) -> Backbone:
    """Open a backbone without weights; its values are in [0, 1], so its scaler changes nothing."""
    found = re.fullmatch(r"([13])x(\d{1,4})x(\d{1,4})", shape)
    if found:
        channels, height, width = map(int, found.groups())
    elif not shape and public is not None and not isinstance(public, FolderImages):
        channels, height, width = _loaded(public).images.shape[1:]
    else:
        raise ConfigError(f"expected {kind}:1x28x28 (channels, height, width), got {kind}:{shape}")
    net = nn.Flatten() if kind == "raw" else OrientedGradients()
    preprocess = Preprocess(size=(height, width), channels=channels if kind == "raw" else 1)
    return Backbone(
        net,
        name=f"{kind}:{channels}x{height}x{width}",
        kind=kind,
        architecture="",
        preprocess=preprocess,
        scaler=Scaler.identity(_width(net, preprocess)),
    )


def _timm(name: str, weights: Path | None, preprocess: Preprocess | None) -> Backbone:
    from sfumato.features.timm_net import timm_net, timm_preprocess

    net = timm_net(name, weights)
    return Backbone(
        net,
        name=f"timm:{name}",
        kind="timm",
        architecture=name,
        preprocess=preprocess or timm_preprocess(net),
    )


def _onnx(path: Path, preprocess: Preprocess | None) -> Backbone:
    from sfumato.features.onnx_net import read_onnx

    net = read_onnx(path)
    preprocess = preprocess or net.preprocess()
    if preprocess is None:
        raise ConfigError(
            f"{path} does not fix its input size: give preprocess=Preprocess(size=..)"
        )
    return Backbone(
        net, name=f"onnx:{path.name}", kind="onnx", architecture="", preprocess=preprocess
    )


def _existing(spec: str) -> Path:
    if not at_home(spec).is_file():
        raise ConfigError(
            "expected raw, gradients, timm:NAME, onnx:PATH or the path of a saved backbone, "
            f"got {spec!r}"
        )
    return at_home(spec)
