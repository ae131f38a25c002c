"""The device's side: from the features of private pictures to an enrollment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from sfumato.data.order import random_order
from sfumato.device import Device, resolve_device
from sfumato.errors import DataError
from sfumato.filter.bounds import LEAST
from sfumato.filter.enrollment import Calibration, Enrollment, check_size
from sfumato.filter.oneclass import (
    OneClass,
    OneClassConfig,
    Rows,
    one_thread,
    squared_error,
    train,
)
from sfumato.filter.rule.claiming import LEAST_SPREAD

HELD_OUT: Final = 0.2
"""Share of many images that `held-out` measures on."""
FOLDS: Final = 5
"""Parts of few images that `cross-fitted` measures on, each by a network that did not see it."""
FEW: Final = 200
"""Images below which a held-out fifth is under 40 images, too few for a tail of sigma."""

_AT_ONCE: Final = 1 << 26  # features held at once: 256 MiB


def enroll(
    features: Float[Tensor, "n d"],
    config: OneClassConfig,
    *,
    backbone: str,
    seed: int,
    views: Float[Tensor, "n v d"] | None = None,
    calibration: Calibration | None = None,
    device: Device = "cpu",
    copies: UInt8[Tensor, "k 32"] | None = None,
) -> Enrollment:
    """Train on one class of private features and measure its errors.

    With `views`, the features of random views of each image (`features.views`), it trains on those
    alone, and `features` of the images themselves only measure: then the enrollment tells less of
    which images were enrolled.

    Errors on training images are smaller than errors on new ones, so a threshold taken from them
    is too low. `held-out` trains on four fifths and measures on the rest. `cross-fitted`
    trains on everything, and measures each fifth with a network that did not see it. `training`
    is the paper's way. None takes `held-out`, or `cross-fitted` where images are few. `copies` are
    hashes that travel with it, for a person who wants near copies claimed as well.

    Raises:
        DataError: fewer than two images, features outside [0, 1], or views of other images.
        EnrollmentError: no reader would take the enrollment (`check_size`).
    """
    if len(features) < 2:
        raise DataError(f"expected at least 2 usable images to enroll, got {len(features)}")
    check_size(features.shape[-1], config.hidden, copies=copies)
    if calibration is None:
        calibration = "held-out" if len(features) >= FEW else "cross-fitted"
    own = _Own.of(features, views)[random_order(len(features), seed)].to(device)
    measure = {"held-out": _held_out, "cross-fitted": _cross_fitted, "training": _training}
    with one_thread():
        net, errors, trained = measure[calibration](own, config, seed, device)
    mu = max(float(errors.mean()), LEAST)
    codes = net.encode(trained.flatten(0, -2)[None])[0]
    return Enrollment(
        encoder=net.encoder[0].cpu(),
        encoder_bias=net.encoder_bias[0].cpu(),
        decoder=net.decoder[0].cpu(),
        decoder_bias=net.decoder_bias[0].cpu(),
        code_mean=codes.mean(0).cpu(),
        code_covariance=codes.mT.cov().reshape(config.hidden, config.hidden).cpu(),
        mu=mu,
        sigma=max(float(errors.std()), LEAST_SPREAD * mu, LEAST),
        calibration=calibration,
        count=len(features),
        backbone=backbone,
        copies=copies,
    )


def page_settings(config: OneClassConfig) -> dict[str, Any]:
    """Return every number that the page's own training needs: it has none of its own."""
    return {
        "training": asdict(config),
        "calibration": {
            "heldOut": HELD_OUT,
            "folds": FOLDS,
            "few": FEW,
            "leastSpread": LEAST_SPREAD,
            "least": LEAST,
        },
    }


@dataclass(frozen=True, slots=True)
class _Own:
    """One person's images: as they are, to measure on, and as they are trained on."""

    features: Float[Tensor, "n d"]
    trained: Rows

    @classmethod
    def of(cls, features: Float[Tensor, "n d"], views: Float[Tensor, "n v d"] | None) -> _Own:
        features = features.float()
        if views is None:
            return cls(features, features)
        if len(views) != len(features) or 0 in views.shape:
            raise DataError(
                f"expected views of each of {len(features)} images, got {tuple(views.shape)}"
            )
        return cls(features, views.float())

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: slice | Int64[Tensor, " k"]) -> _Own:
        return _Own(self.features[rows], self.trained[rows])

    def to(self, device: Device) -> _Own:
        where = resolve_device(device)
        return _Own(self.features.to(where), self.trained.to(where))


Measured = tuple[OneClass, Float[Tensor, " k"], Rows]
"""The network, errors on images that `Calibration` names, and what the network was trained on."""


def _held_out(own: _Own, config: OneClassConfig, seed: int, device: Device) -> Measured:
    held = max(1, round(HELD_OUT * len(own)))
    if held < 2:
        return _cross_fitted(own, config, seed, device)
    kept = own[held:].trained
    net = train([kept], config, seed=seed, device=device)
    return net, _errors(net, own[:held].features), kept


def _cross_fitted(own: _Own, config: OneClassConfig, seed: int, device: Device) -> Measured:
    every = torch.arange(len(own))
    folds = every.tensor_split(min(FOLDS, len(own)))
    rests = [torch.cat([other for other in folds if other is not fold]) for fold in folds]
    net, *others = _apart(own, [every, *rests], config, seed, device)
    errors = [_errors(other, own[fold].features) for other, fold in zip(others, folds, strict=True)]
    return net, torch.cat(errors), own.trained


def _apart(
    own: _Own,
    parts: Sequence[Int64[Tensor, " _"]],
    config: OneClassConfig,
    seed: int,
    device: Device,
) -> list[OneClass]:
    """Train a network on each part of the images, with a seed of its own: many at once.

    The steps of one are so small that most of their time is Python's.
    """
    many = max(1, _AT_ONCE // own.trained.numel())
    nets: list[OneClass] = []
    for first in range(0, len(parts), many):
        taken = [own[rows].trained for rows in parts[first : first + many]]
        stack = train(taken, config, seed=seed + first, device=device)
        nets += [stack.alone(i) for i in range(len(taken))]
    return nets


def _training(own: _Own, config: OneClassConfig, seed: int, device: Device) -> Measured:
    net = train([own.trained], config, seed=seed, device=device)
    return net, _errors(net, own.features), own.trained


def _errors(net: OneClass, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    return squared_error(x[None], net(x[None]))[0]
