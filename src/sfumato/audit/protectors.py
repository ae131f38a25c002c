"""Protectors by the name that the command line gives them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sfumato.audit import plugins
from sfumato.data.imageset import ImageSet
from sfumato.errors import ConfigError
from sfumato.features.backbone import open_backbone
from sfumato.protect.baselines import Blur, KSame, Noise, Pixelate, Unprotected
from sfumato.protect.encrypted import EncryptedFeatures, Features
from sfumato.protect.pretrained import is_artifact, open_pretrained
from sfumato.types import Protector

Make = Callable[[str, ImageSet | None], Protector]

PROTECTORS: dict[str, tuple[str, Make]] = {
    "none": ("none", lambda rest, _: _nothing(rest)),
    "noise": ("noise:SIGMA, in [0, 1]", lambda rest, _: Noise(_number("noise", rest))),
    "blur": ("blur:SIGMA, pixels", lambda rest, _: Blur(_number("blur", rest))),
    "pixelate": ("pixelate:BLOCK, pixels", lambda rest, _: Pixelate(whole("pixelate", rest))),
    "ksame": (
        "ksame:K[:LABEL], pictures of the adversary's own by as many values of LABEL",
        lambda rest, public: _ksame(rest, public),
    ),
    "features": (
        "features:BACKBONE",
        lambda rest, public: Features(open_backbone(rest, public=_public(rest, public))),
    ),
    "shufflebits": (
        "shufflebits:BACKBONE",
        lambda rest, public: EncryptedFeatures(
            open_backbone(rest, public=_public(rest, public)), "shufflebits"
        ),
    ),
    "sealed": (
        "sealed:BACKBONE",
        lambda rest, public: EncryptedFeatures(
            open_backbone(rest, public=_public(rest, public)), "sealed"
        ),
    ),
}


def open_protector(spec: str, public: ImageSet | None = None) -> Protector:
    """Return the protector that `spec` names; a backbone's scaler is fitted on `public` images.

    `spec` is the folder of one that was fitted, one of `PROTECTORS`, one of an installed package
    (`plugins`), or `MODULE:CLASS[:ARGUMENT]` for a `Protector` of the user's own; the argument, if
    any, is handed over as a string.

    Raises:
        ConfigError: nothing has this name, or it is no protector.
    """
    if is_artifact(spec):
        return open_pretrained(spec)
    kind, _, rest = spec.partition(":")
    if kind in PROTECTORS:
        return PROTECTORS[kind][1](rest, public)
    found: Protector | None = plugins.installed(plugins.PROTECTORS, Protector, spec)
    if found is not None:
        return found
    if not plugins.names_a_class(spec):
        usages = (usage for usage, _ in PROTECTORS.values())
        known = ", ".join([*usages, *plugins.names(plugins.PROTECTORS)])
        raise ConfigError(
            f"{spec!r} is no protector: expected one of: {known}, MODULE:CLASS[:ARGUMENT], "
            "a folder that `fit` wrote"
        )
    own: Protector = plugins.at_hand(Protector, spec)
    return own


def fitted_shape(specs: Sequence[str]) -> tuple[int, int, int] | None:
    """Return channels, height and width of the pictures that fitted protectors take.

    None where no spec is a folder of one. An audit compares protectors on the same pictures.

    Raises:
        ConfigError: two of them take pictures of another shape.
    """
    shapes = {spec: open_pretrained(spec).shape for spec in specs if is_artifact(spec)}
    if len(set(shapes.values())) > 1:
        each = "; ".join(f"{spec}: {_named(shape)}" for spec, shape in shapes.items())
        raise ConfigError(f"expected protectors of pictures of one shape, got {each}")
    return next(iter(shapes.values()), None)


def _named(shape: tuple[int, int, int]) -> str:
    channels, height, width = shape
    return f"{height}x{width} {'grey' if channels == 1 else 'RGB'}"


def _public(spec: str, public: ImageSet | None) -> ImageSet | None:
    # A saved backbone has its public scaler already.
    fitted_here = {"raw", "gradients", "face", "timm", "onnx"}
    return public if spec.partition(":")[0] in fitted_here else None


def _nothing(rest: str) -> Protector:
    if rest:
        raise ConfigError(f"none takes no setting, got {rest!r}")
    return Unprotected()


def _ksame(rest: str, public: ImageSet | None) -> Protector:
    if public is None:
        raise ConfigError("ksame:K averages public pictures, and there are none")
    count, _, label = rest.partition(":")
    people = public.label(label) if label else None
    return KSame(whole("ksame", count), public.floats(), people)


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(f"{name}:X needs a number X, got {text!r}") from error


def whole(name: str, text: str) -> int:
    """Return a setting as a whole number, or raise a ConfigError that quotes it."""
    if not text.isdecimal():
        raise ConfigError(f"{name}:X needs a whole number X, got {text!r}")
    return int(text)
