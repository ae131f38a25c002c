"""The device's side: from the features of private pictures to an enrollment."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sfumato.data.order import random_order
from sfumato.device import Device, resolve_device
from sfumato.errors import DataError
from sfumato.filter.enrollment import Calibration, Enrollment
from sfumato.filter.oneclass import OneClass, OneClassConfig, one_thread, squared_error, train
from sfumato.filter.rule.claiming import LEAST_SPREAD

HELD_OUT: Final = 0.2
"""Share of many images that `held-out` measures on."""
FOLDS: Final = 5
"""Parts of few images that `cross-fitted` measures on, each by a network that did not see it."""
FEW: Final = 200
"""Images below which a held-out fifth is under 40 images, too few for a tail of sigma."""
LEAST_SIGMA: Final = 1e-12
"""Least sigma where mu is 0 as well."""


def enroll(
    features: Float[Tensor, "n d"],
    config: OneClassConfig,
    *,
    backbone: str,
    seed: int,
    calibration: Calibration | None = None,
    device: Device = "cpu",
    copies: UInt8[Tensor, "k 32"] | None = None,
) -> Enrollment:
    """Train on one class of private features and measure its errors.

    Errors on training images are smaller than errors on new ones, so a threshold taken from them
    is too low. `held-out` trains on four fifths and measures on the rest. `cross-fitted`
    trains on everything, and measures each fifth with a network that did not see it. `training`
    is the paper's way. None takes `held-out`, or `cross-fitted` where images are few. `copies` are
    hashes that travel with it, for a person who wants near copies claimed as well.

    Raises:
        DataError: fewer than two images, or features outside [0, 1].
    """
    if len(features) < 2:
        raise DataError(f"expected at least 2 usable images to enroll, got {len(features)}")
    if calibration is None:
        calibration = "held-out" if len(features) >= FEW else "cross-fitted"
    order = random_order(len(features), seed)
    shuffled = features[order].to(resolve_device(device))
    measure = {"held-out": _held_out, "cross-fitted": _cross_fitted, "training": _training}
    with one_thread():
        net, errors, own = measure[calibration](shuffled, config, seed, device)
    codes = net.encode(own[None])[0]
    return Enrollment(
        encoder=net.encoder[0].cpu(),
        encoder_bias=net.encoder_bias[0].cpu(),
        decoder=net.decoder[0].cpu(),
        decoder_bias=net.decoder_bias[0].cpu(),
        code_mean=codes.mean(0).cpu(),
        code_covariance=codes.mT.cov().reshape(config.hidden, config.hidden).cpu(),
        mu=float(errors.mean()),
        sigma=max(float(errors.std()), LEAST_SPREAD * float(errors.mean()), LEAST_SIGMA),
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
            "leastSigma": LEAST_SIGMA,
        },
    }


Measured = tuple[OneClass, Float[Tensor, " k"], Float[Tensor, "n d"]]


def _held_out(x: Tensor, config: OneClassConfig, seed: int, device: Device) -> Measured:
    held = max(1, round(HELD_OUT * len(x)))
    if held < 2:
        return _cross_fitted(x, config, seed, device)
    net = train([x[held:]], config, seed=seed, device=device)
    return net, _errors(net, x[:held]), x[held:]


def _cross_fitted(x: Tensor, config: OneClassConfig, seed: int, device: Device) -> Measured:
    folds = x.tensor_split(min(FOLDS, len(x)))
    rests = [torch.cat([f for f in folds if f is not fold]) for fold in folds]
    errors = [
        _errors(train([rest], config, seed=seed + i + 1, device=device), fold)
        for i, (fold, rest) in enumerate(zip(folds, rests, strict=True))
    ]
    return train([x], config, seed=seed, device=device), torch.cat(errors), x


def _training(x: Tensor, config: OneClassConfig, seed: int, device: Device) -> Measured:
    net = train([x], config, seed=seed, device=device)
    return net, _errors(net, x), x


def _errors(net: OneClass, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    return squared_error(x[None], net(x[None]))[0]
