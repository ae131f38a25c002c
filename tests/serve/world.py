"""A small real world for the service: handwritten digits, enrolled users, a raw backbone."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sklearn.datasets import load_digits

from sfumato.data.decoding.decode import encode_png
from sfumato.features.backbone import Backbone, open_backbone
from sfumato.filter.enroll import enroll
from sfumato.filter.enrollment import Enrollment, open_enrollment, seal_enrollment
from sfumato.filter.oneclass import OneClassConfig

HIDDEN = 8


@dataclass(frozen=True)
class World:
    """Digit images by class, an enrollment file of each class, and the backbone's file."""

    folder: Path
    backbone: Backbone
    images: dict[int, torch.Tensor]
    enrollments: dict[int, bytes]

    @property
    def backbone_file(self) -> Path:
        return self.folder / "public.backbone"

    def png(self, digit: int, index: int) -> bytes:
        return encode_png(self.images[digit][index])

    def copy(self, digit: int) -> bytes:
        """An owner's enrollment, signed anew by someone who got hold of it."""
        stolen = open_enrollment(self.enrollments[digit]).enrollment
        return seal_enrollment(stolen, Ed25519PrivateKey.generate())

    def other(
        self, *, backbone: str | None = None, dim: int = 64, hidden: int = HIDDEN, seed: int = 0
    ) -> bytes:
        """An enrollment that is sound in itself, of any backbone and size; nobody trained it.

        It claims what lies next to a pattern of its own, and resembles nothing else.
        """
        generator = torch.Generator().manual_seed(seed)
        pattern = (4 * torch.randn(dim, generator=generator)).clamp(-3, 3)
        flat = pattern.sigmoid()
        decoder = 0.5 * torch.randn(dim, hidden, generator=generator)
        # To first order, what the decoder makes of a code is encoded as that code again.
        encoder = torch.linalg.pinv((flat * (1 - flat))[:, None] * decoder)
        made = Enrollment(
            encoder=encoder,
            encoder_bias=-encoder @ flat,
            decoder=decoder,
            decoder_bias=pattern,
            code_mean=torch.full((hidden,), 0.2),
            code_covariance=1e-2 * torch.eye(hidden),
            mu=0.05,
            sigma=5e-3,
            calibration="held-out",
            count=6,
            backbone=backbone or self.backbone.fingerprint,
        )
        return seal_enrollment(made, Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32))

    def small(self, seed: int) -> bytes:
        """One of many enrollments that are quick to make."""
        return self.other(seed=seed)


def key(digit: int) -> bytes:
    """The private key of a digit's owner: the same each time, and so is the enrollment's id."""
    return bytes([100 + digit]) * 32


def forged(base: Enrollment, **changes: object) -> bytes:
    """An enrollment file, signed, with numbers that `Enrollment` itself refuses to hold."""
    altered = copy(base)
    for name, value in changes.items():
        object.__setattr__(altered, name, value)
    return seal_enrollment(altered, Ed25519PrivateKey.generate())


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    pixels, digits = load_digits(return_X_y=True)
    images = torch.tensor(pixels * 255 / 16).round().to(torch.uint8).view(-1, 1, 8, 8)
    by_digit = {digit: images[torch.tensor(digits) == digit] for digit in range(10)}
    folder = tmp_path_factory.mktemp("world")
    backbone = open_backbone("raw:1x8x8")
    backbone.save(folder / "public.backbone")
    config = OneClassConfig.preset("plain", hidden=HIDDEN, epochs=60)
    enrollments = {}
    for digit in (0, 1, 6):
        features = backbone(by_digit[digit][:120])
        made = enroll(
            features, config, backbone=backbone.fingerprint, seed=digit, calibration="held-out"
        )
        enrollments[digit] = seal_enrollment(made, Ed25519PrivateKey.from_private_bytes(key(digit)))
    return World(folder, backbone, by_digit, enrollments)
