from __future__ import annotations

from dataclasses import replace

import torch

from sfumato.audit.measure.cost import stored_bytes
from sfumato.audit.measure.quality import PictureQuality
from sfumato.cipher.envelope import seal
from sfumato.cipher.keys import EnvelopeKey
from sfumato.data.decoding.decode import encode_png
from sfumato.protect.baselines import Unprotected
from sfumato.protect.encrypted import EncryptedFeatures
from sfumato.types import Knowledge, Releases


class _Flat:
    name = "flat"

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)


def _sides(release: torch.Tensor, images: torch.Tensor) -> tuple[Releases, Knowledge]:
    victim = Releases(protector="p", tensor=release, images=images, labels={})
    return victim, Knowledge(images=torch.rand(30, 1, 8, 8), labels={}, query=lambda x: x)


def test_quality_runs_from_the_mean_picture_to_the_original() -> None:
    images = (torch.rand(20, 1, 8, 8) * 255).round() / 255
    attack = PictureQuality()
    whole = attack.run(*_sides(images, images))
    assert whole.value == 1
    assert whole.leakage == 1
    victim, other = _sides(images, images)
    mean = other.images.mean(0, keepdim=True).expand_as(images).contiguous()
    none = attack.run(replace(victim, tensor=mean), other)
    assert abs(none.leakage) < 0.02  # rounding to 8 bits
    noisy = attack.run(replace(victim, tensor=images + 0.1 * torch.randn_like(images)), other)
    assert none.value < noisy.value < 1
    assert noisy.interval[0] < noisy.value < noisy.interval[1]


def test_what_is_no_picture_has_no_quality() -> None:
    images = torch.rand(4, 1, 8, 8)
    attack = PictureQuality()
    assert attack.unfit(*_sides(images, images)) is None
    for release in (images.flatten(1), images[:, :, :4], (images * 255).to(torch.uint8)):
        assert "no picture" in str(attack.unfit(*_sides(release, images)))


def test_bytes_are_those_of_the_file_or_the_envelope() -> None:
    images = torch.rand(3, 1, 8, 8)
    pictures = (images * 255).round().to(torch.uint8)
    sizes = [len(encode_png(picture)) for picture in pictures]
    assert stored_bytes(images, Unprotected()) == sum(sizes) / 3
    for cipher in ("shufflebits", "sealed"):
        protector = EncryptedFeatures(_Flat(), cipher)
        found = stored_bytes(protector.release(images), protector)
        row = images[0].flatten()
        plain, whole = row.numel() * 4, len(seal(row, EnvelopeKey.draw()))
        assert found == (whole if cipher == "sealed" else plain)
