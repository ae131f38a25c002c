"""The provider's public extractor: preprocessing, network, projection and scaler as one thing.

A backbone is frozen. Two backbones with one fingerprint give the same features; an enrollment and
a bank name the fingerprint that they were made for.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from sfumato.data.lazy import FolderImages
from sfumato.device import device_of
from sfumato.errors import ArtifactError, ConfigError, DataError
from sfumato.features import stored
from sfumato.features.preprocess import Images, Preprocess
from sfumato.features.projection import Projection, fit_projection
from sfumato.features.public import Public, batches, loaded
from sfumato.features.scaler import Scaler, fit_scaler
from sfumato.files import at_home
from sfumato.nets.faceresnet import SIDE
from sfumato.nets.gradients import OrientedGradients
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
    """

    fingerprint: str

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

    def unscaled(self, images: Images) -> Float[Tensor, "n dim"]:
        """Return the features before the scaler: what the network (and the projection) gives.

        Raises:
            DataError: a feature is not finite, or pictures came where aligned faces were expected.
        """
        if self.finds_faces and tuple(images.shape[-2:]) != self.preprocess.size:
            raise DataError(
                f"expected aligned faces of {SIDE}x{SIDE} pixels, got pictures of "
                f"{images.shape[-1]}x{images.shape[-2]}: the backbone {self.name} takes a whole "
                "picture through `Backbone.features`"
            )
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

        The public images may be of any sizes: each goes through the backbone whole.

        Raises:
            DataError: the public images are too few or all alike.
            ConfigError: `dims` is more than the features or the images allow.
        """
        bare = self._with(None, None)
        with torch.no_grad():
            parts = [bare.unscaled(part) for part in bare._inputs(public)]
            if not parts:
                raise DataError(f"no face found in any of {len(public):,} public pictures")
            features = torch.cat(parts)
            projection = None if dims is None else fit_projection(features, dims, seed=seed)
            if projection is not None:
                features = projection(features)
        return self._with(projection, fit_scaler(features))

    def _inputs(self, public: Public) -> Iterator[Images]:
        """Yield what is fitted on: batches of pictures, or the faces of each that has some."""
        for batch in batches(public):
            if not self.finds_faces:
                yield batch
                continue
            found = (self.crops(picture) for picture in batch)
            yield from (faces for faces in found if len(faces))

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
        )

    def to_stored(self) -> stored.Stored:
        """Return the parts that make up the file and the fingerprint."""
        return stored.Stored(
            name=self.name,
            kind=self.kind,
            architecture=self.architecture,
            preprocess=self.preprocess,
            tensors=self.state_dict(),
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
        output = net(preprocess(blank))
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
    preprocess: Mapping[str, Any] | None = None,
    public: Public | None = None,
    dims: int | None = None,
    seed: int = 0,
) -> Backbone:
    """Open a backbone by its spec; fit projection and scaler on `public` images if given.

    `spec` is one of
    - `raw`, pixels as they are, of the size of the public images; or `raw:1x28x28`
    - `gradients` or `gradients:1x28x28`, oriented gradients: public without any training
    - `face`, every face of a picture by dlib's published network (extra `faces`)
    - `timm:NAME`, a timm model with published weights, or those in the safetensors file `weights`
    - `onnx:PATH`, an ONNX file
    - the path of a saved backbone, complete with its scaler

    `preprocess` has settings of `Preprocess` by name: they go before what a timm model or an ONNX
    file says of its input. `dims`, if given, adds a projection to that many dimensions.

    Raises:
        ConfigError: the spec is none of these, or settings exclude each other.
        DataError: the public images are too few, all alike, or have no face that is asked for.
        ArtifactError: a file is not what it should be.
        UnavailableError: weights cannot be downloaded here, or an extra is not installed.
    """
    kind, _, rest = spec.partition(":")
    preprocess = preprocess or {}
    for name in preprocess:
        if name not in (field.name for field in fields(Preprocess)):
            raise ConfigError(f"`preprocess` has no setting {name!r}")
        if kind not in ("timm", "onnx"):
            raise ConfigError(f"`{name}` belongs to a timm:NAME or onnx:PATH backbone, not {spec}")
    if kind == "raw":
        backbone = _untrained("raw", rest, public)
    elif kind == "gradients":
        backbone = _untrained("gradients", rest, public)
    elif spec == "face":
        backbone = _face()
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


def _untrained(kind: stored.Kind, shape: str, public: Public | None) -> Backbone:
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
    return Backbone(
        net,
        name=f"{kind}:{channels}x{height}x{width}",
        kind=kind,
        architecture="",
        preprocess=preprocess,
        scaler=Scaler.identity(_width(net, preprocess)),
    )


def _face() -> Backbone:
    from sfumato.features.facenet import ARCHITECTURE, PREPROCESS, FaceNet

    return Backbone(
        FaceNet(), name="face", kind="face", architecture=ARCHITECTURE, preprocess=PREPROCESS
    )


def _timm(name: str, weights: Path | None, preprocess: Mapping[str, Any]) -> Backbone:
    from sfumato.features.timm_net import timm_net, timm_preprocess

    if preprocess.get("layout", "nchw") != "nchw":
        raise ConfigError("timm models take `layout` nchw")
    net = timm_net(name, weights)
    return Backbone(
        net,
        name=f"timm:{name}",
        kind="timm",
        architecture=name,
        preprocess=replace(timm_preprocess(net), **preprocess),
    )


def _onnx(path: Path, preprocess: Mapping[str, Any]) -> Backbone:
    from sfumato.features.onnx_net import read_onnx

    net = read_onnx(path)
    settings = {**net.settings(preprocess.get("layout")), **preprocess}
    if "size" not in settings:
        raise ConfigError(f"{path} does not fix its input's size: give `size`, height and width")
    try:
        wanted = Preprocess(**settings)
    except ConfigError as error:
        raise ConfigError(f"{path}, whose input is {net.shape}: {error}") from error
    return Backbone(net, name=f"onnx:{path.name}", kind="onnx", architecture="", preprocess=wanted)


def _existing(spec: str) -> Path:
    if not at_home(spec).is_file():
        raise ConfigError(
            "expected raw, gradients, face, timm:NAME, onnx:PATH or the path of a saved backbone, "
            f"got {spec!r}"
        )
    return at_home(spec)
