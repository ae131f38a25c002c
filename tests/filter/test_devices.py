"""An enrollment is trained on the device that is told, and what leaves is on the CPU."""

from __future__ import annotations

import pytest
import torch

from sfumato.data.sources import load
from sfumato.device import device_of, resolve_device
from sfumato.features.backbone import open_backbone
from sfumato.features.cache import extract
from sfumato.filter.enroll import enroll
from sfumato.filter.oneclass import OneClassConfig, train

_NOISY = OneClassConfig(
    hidden=4, epochs=2, least_steps=4, batch_size=16, noise=0.6, code_noise=0.5, average=0.998
)


def test_one_class_autoencoders(card: str) -> None:
    rows = list(load("digits").floats()[:60].flatten(1).split(30))
    net = train(rows, _NOISY, seed=0, device=card)
    assert device_of(net).type == resolve_device(card).type
    assert {value.device.type for value in net.state_dict().values()} == {device_of(net).type}


@pytest.mark.parametrize("calibration", ["training", "held-out", "cross-fitted"])
def test_an_enrollment(card: str, calibration: str) -> None:
    rows = load("digits").floats()[:60].flatten(1)
    made = enroll(rows, _NOISY, backbone="0" * 64, calibration=calibration, seed=0, device=card)  # type: ignore[call-overload]
    assert made.sigma > 0
    assert {made.encoder.device.type, made.code_covariance.device.type} == {"cpu"}


def test_features_of_a_backbone(card: str) -> None:
    images = load("digits", count=20)
    backbone = open_backbone("gradients:1x8x8", public=images)
    here = extract(backbone, images, batch_size=7, device="cpu")
    there = extract(backbone, images, batch_size=7, device=card)
    torch.testing.assert_close(there, here, atol=1e-4, rtol=1e-4)
    assert device_of(backbone).type == "cpu"
