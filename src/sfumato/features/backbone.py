"""The provider's public extractor: preprocessing, network, projection and scaler as one thing.

A backbone is frozen. Two backbones with one fingerprint give the same features; an enrollment and
a bank name the fingerprint that they were made for.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from sfumato.device import device_of
from sfumato.errors import ArtifactError, ConfigError, DataError
from sfumato.features import stored
from sfumato.features.policy import Policy
from sfumato.features.preprocess import Images, Preprocess
from sfumato.features.projection import Projection, fit_projection
from sfumato.features.public import Public, batches
from sfumato.features.scaler import Scaler, fit_scaler
from sfumato.features.specs import open_spec, width_of
from sfumato.files import at_home
from sfumato.nets.faceresnet import SIDE
from sfumato.types import Fingerprinted

if TYPE_CHECKING:
    from sfumato.features.facenet import FaceNet


class Backbone(nn.Module, Fingerprinted):
    """Pictures in, features in [0, 1] out.

    `features` takes one picture and returns as many rows as it has features: one, or with the kind
    `face` one a face, which may be none. `features.picture` says what is done with them.

    Shapes: `forward` takes (n, c, h, w), grey or RGB, uint8 or floats in [0, 1], of any size, and
    returns float32 (n, dim); of the kind `face` it takes aligned faces only, as `crops` cuts them.
    Gradients flow to float pictures, except through an ONNX graph.

    Attributes:
        name: for people; not part of the fingerprint.
        kind: `raw`, `gradients`, `face`, `timm`, `onnx` or `module` (a network of the caller's).
        architecture: timm's name of the model, the caller's name of a `module`, the name of the
            face network, else empty.
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
        width = width_of(net, preprocess)
        self.projection, self.scaler = projection, scaler
        self.dim = width if projection is None else len(projection.components)
        stored.check_fit(width, projection, scaler)
        self.policy = None
        self.fingerprint = self.to_stored().fingerprint

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

    @property
    def finds_faces(self) -> bool:
        """Whether a picture has one feature a face, instead of one."""
        return self.kind == "face"

    def crops(self, picture: UInt8[Tensor, "c h w"]) -> UInt8[Tensor, "k _ _ _"]:
        """Return what of a picture has a feature: its faces, which may be none, or all of it.

        Raises:
            ImageError: it has more faces than are looked at.
        """
        if not self.finds_faces:
            return picture[None]
        return cast("FaceNet", self.net).faces(picture)

    def features(self, picture: UInt8[Tensor, "c h w"]) -> Float[Tensor, "k dim"]:
        """Return every feature of one picture, in [0, 1]; there may be none.

        Raises:
            ConfigError: the scaler was never fitted.
            DataError: the picture is neither grey nor RGB, or a feature is not finite.
            ImageError: it has more faces than are looked at.
        """
        where = device_of(self)
        # One at a time: in batches rows differ in their last digits.
        rows = [self(crop[None].to(where)) for crop in self.crops(picture)]
        return torch.cat(rows) if rows else torch.empty(0, self.dim, device=where)

    def inputs(self, images: Images) -> Float[Tensor, "n c2 h2 w2"]:
        """Return what the network is given of pictures: its size, channels and normalisation.

        Raises:
            DataError: the pictures are neither grey nor RGB, or pictures came where aligned faces
                were expected.
        """
        if self.finds_faces and tuple(images.shape[-2:]) != self.preprocess.size:
            raise DataError(
                f"expected aligned faces of {SIDE}x{SIDE} pixels, got pictures of "
                f"{images.shape[-1]}x{images.shape[-2]}: the backbone {self.name} takes a whole "
                "picture through `Backbone.features`"
            )
        return self.preprocess(images)

    def unscaled(self, images: Images) -> Float[Tensor, "n dim"]:
        """Return the features before the scaler: what the network (and the projection) gives.

        Raises:
            DataError: a feature is not finite, or pictures came where aligned faces were expected.
        """
        return self._unscaled(self.inputs(images))

    def features_of_inputs(self, inputs: Float[Tensor, "n c h w"]) -> Float[Tensor, "n dim"]:
        """Return the features in [0, 1] of what `inputs` returned, or of views of it.

        Raises:
            ConfigError: the scaler was never fitted.
            DataError: a feature is not finite.
        """
        if self.scaler is None:
            raise ConfigError(
                f"backbone {self.name} has no scaler to [0, 1] yet: fit it on public images "
                "(open_backbone(..., public=images) or backbone.fit(images))"
            )
        scaled: Tensor = self.scaler(self._unscaled(inputs))
        return scaled

    def forward(self, images: Images) -> Float[Tensor, "n dim"]:
        """Return the features in [0, 1].

        Raises:
            ConfigError: the scaler was never fitted.
            DataError: the pictures are neither grey nor RGB, or a feature is not finite.
        """
        return self.features_of_inputs(self.inputs(images))

    def _unscaled(self, inputs: Float[Tensor, "n c h w"]) -> Float[Tensor, "n dim"]:
        x: Tensor = self.net(inputs).flatten(1).float()
        if self.projection is not None:
            x = self.projection(x)
        # A NaN would lie outside every interval, and so slip past every guard.
        if not bool(x.isfinite().all()):
            raise DataError(f"backbone {self.name} gives features that are not finite")
        return x

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
            parts = [bare.unscaled(part) for part in bare._crops_of(public)]
            if not parts:
                raise DataError(f"no face found in any of {len(public):,} public pictures")
            features = torch.cat(parts)
            projection = None if dims is None else fit_projection(features, dims, seed=seed)
            if projection is not None:
                features = projection(features)
        return self._with(projection, fit_scaler(features))

    def _crops_of(self, public: Public) -> Iterator[Images]:
        """Yield what is fitted on: batches of pictures, or the faces of each that has some."""
        for batch in batches(public):
            if not self.finds_faces:
                yield batch
                continue
            found = (self.crops(picture) for picture in batch)
            yield from (faces for faces in found if len(faces))

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
        """Return the parts of the file."""
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


def open_backbone(
    spec: str,
    *,
    weights: Path | None = None,
    preprocess: Mapping[str, Any] | None = None,
    public: Public | None = None,
    dims: int | None = None,
    seed: int = 0,
) -> Backbone:
    """Open a backbone by its spec; fit projection and scaler on `public` images if given.

    `spec` is one of those in `features.specs` (`raw:1x28x28`, `gradients:1x28x28`, `face`,
    `timm:NAME`, `onnx:PATH`), or the path of a saved backbone, complete with its scaler.
    `weights` is a safetensors file of a timm model's. `preprocess` has settings of `Preprocess` by
    name: they go before what a timm model or an ONNX file says of its input. `dims`, if given, adds
    a projection to that many dimensions.

    Raises:
        ConfigError: the spec is none of these, or settings exclude each other.
        DataError: the public images are too few, all alike, or have no face that is asked for.
        ArtifactError: a file is not what it should be.
        UnavailableError: weights cannot be downloaded here, or an extra is not installed.
    """
    found = open_spec(spec, weights=weights, preprocess=preprocess or {}, public=public)
    if found is None:
        backbone = Backbone.load(_existing(spec))
        if public is not None or dims is not None:
            raise ConfigError(f"{spec} has its public scaler already; open it without public=")
        return backbone
    backbone = Backbone(
        found.net,
        name=found.name,
        kind=found.kind,
        architecture=found.architecture,
        preprocess=found.preprocess,
        scaler=found.scaler,
    )
    if public is None and dims is not None:
        raise ConfigError("a projection (dims) is fitted on public images: give public=")
    if public is None or (found.scaler is not None and dims is None):
        return backbone
    return backbone.fit(public, dims=dims, seed=seed)


def _existing(spec: str) -> Path:
    if not at_home(spec).is_file():
        raise ConfigError(
            "expected raw, gradients, face, timm:NAME, onnx:PATH or the path of a saved backbone, "
            f"got {spec!r}"
        )
    return at_home(spec)
