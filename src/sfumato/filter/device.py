"""Enrolling on a device: from a folder of pictures to the one file that leaves it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sfumato.features.backbone import Backbone
from sfumato.filter.enroll import enroll
from sfumato.filter.enrollment import (
    Calibration,
    Enrollment,
    check_size,
    open_enrollment,
    seal_enrollment,
)
from sfumato.filter.oneclass import OneClassConfig
from sfumato.filter.private_pictures import FolderFeatures, owner_key, read_features


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """An enrollment that was made of a folder."""

    enrollment: Enrollment
    content: bytes
    """The signed file."""
    found: FolderFeatures
    """What it was made of: this stays on the device."""
    fresh_key: bool
    """Whether the owner's key was made just now."""

    @property
    def id(self) -> str:
        """The enrollment's id in a bank."""
        return open_enrollment(self.content).id


def enroll_folder(
    folder: Path,
    backbone: Backbone,
    config: OneClassConfig,
    *,
    key: Path,
    seed: int,
    calibration: Calibration | None = None,
    copies: bool = False,
) -> Made:
    """Train on a folder of private pictures and sign the enrollment with the key in a file.

    Where there is no such file a key is made. `config` is suited to the kind of the backbone.

    Raises:
        DataError: there is no such folder, or it has under two usable pictures.
        KeyRingError: the file holds no key.
        EnrollmentError: no reader would take the enrollment (`check_size`).
    """
    if key.exists():
        owner_key(key)  # a bad one is refused before the work
    config = config.suited(backbone.kind)
    check_size(backbone.dim, config.hidden)
    found = read_features(
        folder, backbone, augmentation=config.augmentation, seed=seed, copies=copies
    )
    made = enroll(
        found.features,
        config,
        backbone=backbone.fingerprint,
        seed=seed,
        views=found.views,
        calibration=calibration,
        copies=found.copies,
    )
    secret, fresh = owner_key(key)
    return Made(
        enrollment=made, content=seal_enrollment(made, secret), found=found, fresh_key=fresh
    )
