"""A backbone measured on a public source: what `filter calibrate` and `filter try` both do."""

from __future__ import annotations

from sfumato.data.lazy import FolderImages, LoadedImages
from sfumato.data.leftout import LeftOut
from sfumato.device import Device
from sfumato.features.backbone import Backbone
from sfumato.filter.calibrate.calibrate import Calibration, calibrate
from sfumato.filter.calibrate.config import CalibrationConfig
from sfumato.filter.calibrate.public import read_public
from sfumato.filter.enrolled import EnrolledUsers
from sfumato.filter.oneclass import OneClassConfig
from sfumato.filter.rule.screening import CONTESTED


def measure(
    backbone: Backbone,
    images: LoadedImages | FolderImages,
    config: CalibrationConfig,
    *,
    label: str | None = None,
    bank: EnrolledUsers | None = None,
    device: Device = "cpu",
) -> tuple[Calibration, tuple[LeftOut, ...]]:
    """Return what the backbone can do, and the pictures that have no feature.

    `label` names the people of the source where it has several labels. Enrollments in `bank` are
    tried in place of simulated people.

    Raises:
        ConfigError, DataError: as `read_public` and `calibrate`.
    """
    training = OneClassConfig().suited(backbone.kind)
    read = read_public(
        backbone, images, label, config, augmentation=training.augmentation, enroll=bank is None
    )
    found = calibrate(
        read,
        config,
        training=training,
        bank=bank,
        contested=CONTESTED if backbone.policy is None else backbone.policy.contested,
        device=device,
    )
    return found, read.left_out
